import { Option, type Command } from 'commander';
import { collect, commas, integer } from '#bin/options/argument.ts';

/** @param data where `up` keeps the cluster that is meant without a kubeconfig */
export function addFakeNodesCommand(program: Command, data: Option): void {
  program
    .command('fake-nodes')
    .description(
      'nodes without machines in any cluster, as many as wanted: a kubelet that decides as the real one, and runs nothing',
    )
    .option('--nodes <n>', 'how many', integer(1, 1_000_000), 10)
    .option('--prefix <name>', 'of their names: fake-0, fake-1, …', 'fake')
    .option('--cpu <quantity>', 'of each', '32')
    .option('--memory <quantity>', 'of each', '256Gi')
    .option('--storage <quantity>', 'of each', '1Ti')
    .option('--max-pods <n>', 'that each takes', integer(1, 65_536), 110)
    .option('--node-label <key=value>', 'of each; can be repeated', collect, [])
    .option('--node-taint <key=value:effect>', 'of each; can be repeated', collect, [])
    .option('--zones <zone,zone>', 'topology.kubernetes.io/zone, in turn', commas, [])
    .option(
      '--address <ip>',
      'where the API server reaches their one port, for logs, exec and metrics (default: the address by which this host reaches the server)',
    )
    .option('--port <port>', 'of that (default: a free one)', integer(0, 65_535), 0)
    .option('--lease-seconds <seconds>', 'of their Leases, renewed four times as often', integer(10, 600), 80)
    .option('--keep', 'leave the Node objects at the end (default: they are deleted)')
    .option('--kubeconfig <file>', 'whose cluster (default: $KUBECONFIG, or kubeconfig in --data)')
    .addOption(new Option('--server <url>', "instead of the kubeconfig's"))
    .addOption(
      new Option(
        '--credentials <dir>',
        'serving.crt, serving.key and ca.crt for the port (default: by a request to the cluster)',
      ),
    )
    .addOption(data)
    .action(async (options) => (await import('./command.ts')).runFakeNodes(options));
}
