/** `up --server-option NAME=VALUE`: what the server of a cluster on this machine is told beside what `up` says itself. Pure. */

/** What `up` decides. */
const own: ReadonlySet<string> = new Set([
  ...['data', 'listen', 'listen-fd', 'advertise-address', 'admin-kubeconfig', 'admin-server'],
  ...[
    'virtual-address',
    'service-cidr',
    'cluster-cidr',
    'cluster-dns',
    'pod-routes',
    'node',
    'load-balancer-cidr',
  ],
  ...['node-cidr-mask-size', 'node-cidr-mask-size-ipv4', 'node-cidr-mask-size-ipv6'],
]);

/** `enable-admission-plugins=AlwaysPullImages`. */
export function isServerOption(text: string): boolean {
  return /^[a-z][a-z-]*(=[^\0]*)?$/.test(text) && !own.has(nameOf(text));
}

function nameOf(text: string): string {
  return text.split('=', 1)[0] ?? '';
}

/** What is wrong with one; undefined: nothing. `known` are the options of the server by their names, and whether they take a value. */
export function serverOptionProblem(text: string, known: ReadonlyMap<string, boolean>): string | undefined {
  const name = nameOf(text);
  if (own.has(name)) return `--${name} is said by up itself`;
  const takesValue = known.get(name);
  if (takesValue === undefined) return `podwright server has no option --${name}; write NAME=VALUE`;
  if (takesValue !== text.includes('=')) return `write ${takesValue ? `${name}=VALUE` : name}`;
  return isServerOption(text) ? undefined : 'write NAME=VALUE';
}
