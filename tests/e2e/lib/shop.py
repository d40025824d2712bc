"""An application as a shop would write it: FastAPI and psycopg2, instrumented by OpenTelemetry. Run with the `python` peer's
packages: shop.py FORM COMPRESSION ENDPOINT SERVICE DSN. Serves a few requests of its own client, exports traces, metrics and logs,
prints the trace id of the last one as JSON and ends."""

import json
import logging
import sys

import psycopg2
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

form, zipped, endpoint, service, dsn = sys.argv[1:]


def exporters():
    if form == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        compression = Compression.Gzip if zipped == "gzip" else Compression.NoCompression
        return [kind(endpoint=endpoint, insecure=True, compression=compression)
                for kind in (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter)]
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    compression = Compression.Gzip if zipped == "gzip" else Compression.NoCompression
    return [kind(endpoint=f"{endpoint}/v1/{signal}", compression=compression)
            for kind, signal in ((OTLPSpanExporter, "traces"), (OTLPMetricExporter, "metrics"), (OTLPLogExporter, "logs"))]


spans, points, records = exporters()
resource = Resource.create({"service.name": service, "service.version": "1.2.3"})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(spans))
trace.set_tracer_provider(tracers)
meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(points, export_interval_millis=600000)])
metrics.set_meter_provider(meters)
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(records))
set_logger_provider(loggers)
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=loggers))

Psycopg2Instrumentor().instrument(skip_dep_check=True)  # it looks for psycopg2, not for psycopg2-binary
app = FastAPI()
orders = metrics.get_meter("shop").create_counter("shop.orders", unit="{order}")
ids = []


@app.get("/cart/{item}")
def cart(item: str):
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s || ' is in stock'", (item,))
        said = cursor.fetchone()[0]
    orders.add(1, {"item": item})
    log.info("sold %s", item, extra={"item": item, "price": 2.5})
    ids.append(format(trace.get_current_span().get_span_context().trace_id, "032x"))
    return {"said": said}


FastAPIInstrumentor.instrument_app(app)
client = TestClient(app)
for _ in range(3):
    answer = client.get("/cart/tea")
    assert answer.json() == {"said": "tea is in stock"}, answer.text
tracers.shutdown()
meters.shutdown()
loggers.shutdown()
print(json.dumps({"trace_id": ids[-1]}))
