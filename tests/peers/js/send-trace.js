// send-trace.js URL SERVICE SPANS: sends one trace of that many spans by the OpenTelemetry SDK over OTLP/HTTP with protobuf,
// as an application does, and prints {"trace_id": ..., "spans": [names]} once the exporter has its answer.
// Run with NODE_PATH naming the node_modules of the built peer.
'use strict';
const { context, trace, SpanStatusCode, diag, DiagConsoleLogger, DiagLogLevel } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { NodeTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-node');

async function main([url, service, count]) {
  diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: 20000 });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': '1.2.3' }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  const tracer = provider.getTracer('send-trace', '1.0');
  const names = [];
  const root = tracer.startSpan('root', { attributes: { 'http.route': '/é', numbers: [1, 2.5], flag: true } });
  names.push('root');
  for (let n = 1; n < Number(count); n++) {
    const child = tracer.startSpan(`child ${n}`, {}, trace.setSpan(context.active(), root));
    child.addEvent('event', { n });
    child.setStatus({ code: SpanStatusCode.ERROR, message: 'made up' });
    child.end();
    names.push(`child ${n}`);
  }
  root.end();
  await provider.forceFlush();
  await provider.shutdown();
  console.log(JSON.stringify({ trace_id: root.spanContext().traceId, spans: names }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
