"""A FastAPI application with the SDK's usual settings from the environment: requests for SECONDS, then its spans' ids on stdout."""

import collections
import json
import os
import time

from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


class Counted(SpanProcessor):
    def __init__(self):
        self.ids = collections.defaultdict(list)

    def on_end(self, span):
        self.ids[f"{span.context.trace_id:032x}"].append(f"{span.context.span_id:016x}")


def main():
    counted, provider = Counted(), TracerProvider()
    provider.add_span_processor(counted)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    app = FastAPI()
    app.get("/cart/{number}")(lambda number: {"number": number})
    FastAPIInstrumentor.instrument_app(app)
    tracer, client = trace.get_tracer("application"), TestClient(app)
    until = time.monotonic() + float(os.environ["SECONDS"])
    while time.monotonic() < until:
        with tracer.start_as_current_span("round"):
            headers = {}
            propagate.inject(headers)
            for number in range(10):
                assert client.get(f"/cart/{number}", headers=headers).status_code == 200
        time.sleep(0.2)
    provider.shutdown()
    print("spans " + json.dumps(counted.ids), flush=True)
    time.sleep(3600)


main()
