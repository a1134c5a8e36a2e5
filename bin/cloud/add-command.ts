import { Option, type Command } from 'commander';
import { commas, integer } from '#bin/options/argument.ts';

/** As pflag takes them: `--NAME`, `--NAME=true`, `--NAME=false`. */
function boolean(text: string): boolean | string {
  return text === 'true' ? true : text === 'false' ? false : text;
}
const flag = (name: string, what: string): Option =>
  new Option(`--${name} [bool]`, what).argParser(boolean).preset('true').default(true);

export function addCloudControllerCommand(program: Command): void {
  program
    .command('cloud-controller')
    .description(
      'what kube-cloud-controller-manager does, by a module for a cloud: nodes, their lives, routes, load balancers (docs/cloud.md)',
    )
    .requiredOption('--cloud-provider <file>', 'a module in TypeScript that exports createCloud')
    .option('--cloud-config <file>', 'what the module is given of its set-up')
    .option('--kubeconfig <file>', "whose rights it has (default: the pod's, or $KUBECONFIG)")
    .option(
      '--cluster-name <name>',
      'tells its things from those of other clusters in the cloud',
      'kubernetes',
    )
    .option('--cluster-cidr <cidr,cidr>', 'networks of pods, whose routes are made', commas)
    .addOption(flag('configure-cloud-routes', 'make routes to the pods of nodes, where the cloud has routes'))
    .option('--controllers <list>', 'which loops run: *,-NAME all but one, NAME,NAME these', commas, ['*'])
    .option('--route-reconciliation-period <duration>', 'how often routes are compared', '10s')
    .option('--node-monitor-period <duration>', 'how often it asks about a node that is not ready', '5s')
    .option('--node-status-update-frequency <duration>', 'how often it asks about any node', '5m')
    .option('--concurrent-node-syncs <n>', 'nodes at once', integer(1, 1000), 1)
    .option('--concurrent-service-syncs <n>', 'Services at once', integer(1, 1000), 1)
    .addOption(flag('leader-elect', 'of several that run one works'))
    .option('--leader-elect-lease-duration <duration>', 'others wait so long for one that is silent', '15s')
    .option('--leader-elect-renew-deadline <duration>', 'one that cannot renew ends after so long', '10s')
    .option('--leader-elect-retry-period <duration>', 'between two tries', '2s')
    .option('--leader-elect-resource-name <name>', 'of the Lease', 'cloud-controller-manager')
    .option('--leader-elect-resource-namespace <name>', 'of the Lease', 'kube-system')
    .action(async (options) => (await import('./command.ts')).runCloudController(options));
}
