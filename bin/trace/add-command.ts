import { Option, type Command } from 'commander';

/** @param shared options that other commands have, too */
export function addTraceCommand(program: Command, shared: readonly Option[]): void {
  const command = program
    .command('trace')
    .description('say where a packet goes, hop by hop, and why it does not arrive; sends none')
    .argument('<from>', 'a pod (NAME or NAMESPACE/NAME), node/NAME, outside or outside/ADDRESS')
    .argument('<to>', 'NAME, ADDRESS, pod/NAME, svc/NAME or node/NAME, and :PORT')
    .addOption(
      new Option('--protocol <protocol>', 'of the packet').choices(['tcp', 'udp', 'sctp']).default('tcp'),
    )
    .option('-n, --namespace <name>', 'of names without one', 'default')
    .option('--kubeconfig <file>', 'whose cluster (default: $KUBECONFIG, or kubeconfig in --data)');
  for (const option of shared) command.addOption(option);
  command.action(async (from, to, options) => (await import('./command.ts')).runTrace(from, to, options));
}
