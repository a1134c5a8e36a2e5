import type { Command } from 'commander';

/** Declares the command. */
export function addCsiCommand(program: Command): void {
  program
    .command('csi')
    .description(
      "what a CSI driver's sidecars do (provision, attach, resize, capacity, snapshots), beside its controller",
    )
    .requiredOption('--endpoint <socket>', "the driver's: unix:///csi/csi.sock")
    .option('--kubeconfig <file>', "whose rights it has (default: the pod's, or $KUBECONFIG)")
    .option('--namespace <name>', 'where its Lease is, and what it says of capacity', 'kube-system')
    .option('--no-snapshots', 'a snapshot-controller and a csi-snapshotter of others see to snapshots')
    .option('--no-lease', 'work at once: nobody else works for the driver')
    .action(async (options) => (await import('./csi.ts')).runCsi(options));
}
