/** What a request to the kubelet is to an authorizer: a verb on one of several subresources of its node. */
export interface Asked {
  /** '' for a method that stands for none. */
  readonly verb: string;
  /** One of them is enough; asked for in this order. */
  readonly subresources: readonly string[];
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/**
 * By the first segment of the path; of all others `proxy`, which also lets in to those that name it (KEP-2862). A WebSocket is a GET, so that
 * who may `get` nodes/proxy may run commands, as with Kubernetes.
 */
const subresources: Readonly<Record<string, readonly string[]>> = {
  stats: ['stats'],
  metrics: ['metrics'],
  logs: ['log'],
  spec: ['spec'],
  checkpoint: ['checkpoint'],
  pods: ['pods', 'proxy'],
  runningpods: ['pods', 'proxy'],
  healthz: ['healthz', 'proxy'],
  configz: ['configz', 'proxy'],
  statusz: ['statusz'],
};

/** @param segments of the path, as the server finds its way by them. Pure. (pkg/kubelet/server/auth.go, GetRequestAttributes) */
export function askedOf(method: string | undefined, [first = '']: readonly string[]): Asked {
  const own = Object.hasOwn(subresources, first) ? subresources[first] : undefined;
  return { verb: verbs[method ?? 'GET'] ?? '', subresources: own ?? ['proxy'] };
}

/** In the kubelet's words. */
export function describeForbidden(user: string, { verb, subresources: all }: Asked): string {
  return `Forbidden (user=${user}, verb=${verb}, resource=nodes, subresource(s)=[${all.join(' ')}])\n`;
}
