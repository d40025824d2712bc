"""A D-Bus bus for tests, with services on it that answer method calls: functions of (path, interface, member, arguments) to a
signature and values, or None for an error. What is needed of the specification for strings, numbers, arrays, structs and variants."""

import os
import socket
import struct
import threading

ALIGN = {"y": 1, "b": 4, "u": 4, "t": 8, "s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8}


def parts(signature):
    """A signature cut into its complete types."""
    out, at = [], 0
    while at < len(signature):
        end = at
        while signature[end] == "a":
            end += 1
        if signature[end] == "(":
            depth = 0
            while True:
                depth += {"(": 1, ")": -1}.get(signature[end], 0)
                if depth == 0:
                    break
                end += 1
        out.append(signature[at:end + 1])
        at = end + 1
    return out


class Writer:
    def __init__(self):
        self.out = bytearray()

    def pad(self, step):
        self.out += bytes(-len(self.out) % step)

    def put(self, kind, value):
        self.pad(ALIGN[kind[0]])
        if kind in "bu":
            self.out += struct.pack("<I", value)
        elif kind == "t":
            self.out += struct.pack("<Q", value)
        elif kind == "y":
            self.out.append(value)
        elif kind in "so":
            self.out += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
        elif kind == "g":
            self.out += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            self.put("g", value[0])
            self.put(value[0], value[1])
        elif kind[0] == "(":
            for inner, item in zip(parts(kind[1:-1]), value):
                self.put(inner, item)
        else:
            self.put_array(kind[1:], value)
        return self

    def put_array(self, kind, items):
        at = len(self.out)
        self.out += bytes(4)
        self.pad(ALIGN[kind[0]])
        begin = len(self.out)
        for item in items:
            self.put(kind, item)
        self.out[at:at + 4] = struct.pack("<I", len(self.out) - begin)


class Reader:
    def __init__(self, text):
        self.text, self.at = text, 0

    def get(self, kind):
        self.at += -self.at % ALIGN[kind]
        if kind in "su" or kind == "o":
            number = struct.unpack_from("<I", self.text, self.at)[0]
            self.at += 4
            return number if kind == "u" else self.take(number)
        length = self.text[self.at]  # g
        self.at += 1
        return self.take(length)

    def take(self, length):
        value = self.text[self.at:self.at + length].decode()
        self.at += length + 1
        return value


class Bus:
    def __init__(self, folder, services):
        """services: {name: function}."""
        self.services, self.path = services, os.path.join(folder, "bus")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def address(self):
        return f"unix:path={self.path}"

    def accept(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        stream = peer.makefile("rwb")
        if stream.read(1) != b"\0":
            return
        while (line := stream.readline()) and line != b"BEGIN\r\n":
            answer = b"OK 00000000000000000000000000000000" if line.startswith(b"AUTH EXTERNAL") else \
                b"REJECTED EXTERNAL" if line.startswith(b"AUTH") else b"ERROR"
            stream.write(answer + b"\r\n")
            stream.flush()
        while head := stream.read(16):
            body_length, serial, fields_length = struct.unpack_from("<III", head, 4)
            fields = self.fields(stream.read(fields_length + -fields_length % 8)[:fields_length])
            body = Reader(stream.read(body_length))
            arguments = [body.get(kind) for kind in fields.get(8, "")]
            stream.write(self.answer(fields, serial, arguments))
            stream.flush()

    @staticmethod
    def fields(text):
        reader, out = Reader(text), {}
        while reader.at < len(text):
            reader.at += -reader.at % 8
            code = text[reader.at]
            reader.at += 1
            out[code] = reader.get(reader.get("g"))
        return out

    def answer(self, fields, serial, arguments):
        path, interface, member = fields[1], fields.get(2, ""), fields[3]
        if interface == "org.freedesktop.DBus" and member == "Hello":
            found = "s", [":1.1"]
        else:
            service = self.services.get(fields.get(6))
            found = service(path, interface, member, arguments) if service else None
        body = Writer()
        head = [(5, ("u", serial))]
        if found:
            head.append((8, ("g", found[0])))
            for kind, value in zip(parts(found[0]), found[1]):
                body.put(kind, value)
        else:
            head.append((4, ("s", "org.freedesktop.DBus.Error.UnknownObject")))
        out = Writer()
        for kind, value in zip("yyyyuu", (ord("l"), 2 if found else 3, 1, 1, len(body.out), 1)):
            out.put(kind, value)
        out.put("a(yv)", head)
        out.pad(8)
        return bytes(out.out + body.out)
