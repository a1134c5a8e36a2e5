import { Option } from 'commander';

/** As kubelet, kube-apiserver and kube-controller-manager have it: only what is outside of them. */
export function cloudProviderOption(what: string): Option {
  return new Option('--cloud-provider <name>', `external: ${what} (docs/cloud.md)`).choices(['external']);
}
