// One trace of the OpenTelemetry JavaScript SDK: node trace.js URL SERVICE SPANS [proto|http|grpc [gzip]]; prints its trace id when it was exported.
const { trace, context } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { NodeTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-node');

const [url, service, count, form = 'proto', compression = 'none'] = process.argv.slice(2);
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${form}`);

async function main() {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, compression }))],
  });
  const tracer = provider.getTracer('tributary-test');
  const root = tracer.startSpan('request', { attributes: { 'http.request.method': 'GET', bytes: 12345 } });
  for (let i = 1; i < Number(count); i++) {
    tracer.startSpan(`step ${i}`, { attributes: { step: i } }, trace.setSpan(context.active(), root)).end();
  }
  root.end();
  await provider.forceFlush();
  await provider.shutdown();
  console.log(root.spanContext().traceId);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
