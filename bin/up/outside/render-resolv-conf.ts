/** resolv.conf(5) of the nodes of a cluster: the launcher stands for the machine's resolvers; search list and options are the machine's. Pure. */
export function renderNodeResolvConf(machine: string, gateways: readonly string[]): string {
  const kept = machine.split('\n').filter((line) => /^\s*(search|domain|options)\s/.test(line));
  return [...gateways.map((gateway) => `nameserver ${gateway}`), ...kept.map((line) => line.trim()), ''].join(
    '\n',
  );
}
