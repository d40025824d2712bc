// One request of a signal from the OpenTelemetry JavaScript SDK, with attributes of every kind:
// node signals.js traces|metrics|logs URL SERVICE proto|http|grpc none|gzip; prints the trace id of a trace when it was exported.
const { resourceFromAttributes } = require('@opentelemetry/resources');

const [signal, url, service, form, compression] = process.argv.slice(2);
const resource = resourceFromAttributes({ 'service.name': service, 'service.version': '1.2.3', 'deployment.environment.name': 'test' });
const attributes = { 'http.request.method': 'GET', bytes: 12345, ratio: 0.5, cached: true, hosts: ['a', 'b'] };

function exporterOf(name) {
  const module = require(`@opentelemetry/exporter-${name}-otlp-${form}`);
  const Exporter = module[{ trace: 'OTLPTraceExporter', metrics: 'OTLPMetricExporter', logs: 'OTLPLogExporter' }[name]];
  return new Exporter({ url, compression });
}

async function traces() {
  const { trace, context } = require('@opentelemetry/api');
  const { NodeTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-node');
  const provider = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporterOf('trace'))] });
  const tracer = provider.getTracer('tributary-test', '1.0');
  const root = tracer.startSpan('request', { kind: 1, attributes });
  root.addEvent('cache miss', { key: 'é' });
  tracer.startSpan('step', { attributes: { step: 1 } }, trace.setSpan(context.active(), root)).end();
  root.setStatus({ code: 2, message: 'it broke' });
  root.end();
  await provider.forceFlush();
  await provider.shutdown();
  console.log(root.spanContext().traceId);
}

async function metrics() {
  const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
  const reader = new PeriodicExportingMetricReader({ exporter: exporterOf('metrics'), exportIntervalMillis: 600000 });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter('tributary-test', '1.0');
  meter.createCounter('shop.orders', { unit: '{order}' }).add(3, { way: 'card', bytes: 12345 });
  meter.createGauge('shop.stock').record(7.5, { item: 'tea' });
  const seconds = meter.createHistogram('shop.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 1] } });
  for (const one of [0.05, 0.5, 5]) seconds.record(one, { route: '/cart' });
  await provider.forceFlush();
  await provider.shutdown();
}

async function logs() {
  const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporterOf('logs') })] });
  const logger = provider.getLogger('tributary-test', '1.0');
  logger.emit({ severityNumber: 9, severityText: 'INFO', body: `order taken by ${service}`, attributes });
  await provider.forceFlush();
  await provider.shutdown();
}

({ traces, metrics, logs })[signal]().catch((error) => {
  console.error(error);
  process.exit(1);
});
