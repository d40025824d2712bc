/* node_metrics_command.h - tributary-agent node-metrics: node_exporter's command line and page.
 *
 * Prints the page once, or serves it where --web.listen-address is given. The flags are node_exporter's;
 * those of its logs and of its web toolkit's configuration file are taken and mean nothing here. */
#ifndef NODE_AGENT_NODE_METRICS_COMMAND_H
#define NODE_AGENT_NODE_METRICS_COMMAND_H

#define NODE_METRICS_USAGE "[--path.procfs=D] [--collector.NAME] [--web.listen-address=A] ..."

/* node_metrics_command: a verb of program.h. */
int node_metrics_command(int argc, char **argv);

#endif
