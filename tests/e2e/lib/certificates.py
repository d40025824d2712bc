"""An authority and certificates for tests, made by the openssl command.

    ca = Authority("ca")                      # ca.file: its certificate
    cert, key = ca.issue("server")            # PEM files; for localhost and 127.0.0.1
    ca.issue("server", serial=2)              # the same files anew, renamed over the former ones
"""

import os
import subprocess

from .process import workdir


def _openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, capture_output=True)


class Authority:
    def __init__(self, name):
        self.folder = workdir("certificates", name)
        self.file = self._path("authority.pem")
        self._key = self._path("authority.key")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.file)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, serial=1):
        """(certificate, key) of that name with that serial number."""
        request, names, cert, key = (self._path(name + suffix) for suffix in (".csr", ".ext", ".pem", ".key"))
        with open(names, "w") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key + ".new", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-set_serial", str(serial), "-days", "2",
                 "-extfile", names, "-out", cert + ".new")
        os.rename(cert + ".new", cert)
        os.rename(key + ".new", key)
        return cert, key
