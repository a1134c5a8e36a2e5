import { renderContribution, type Contribution } from '#agent/proxy/contribution.ts';
import { listenersSet, type FamilyFacts } from '#agent/proxy/table-layout.ts';
import type { Backend, ProxyPort } from '#agent/proxy/service-map.ts';

/** Which backends a listener forwards to: any, or those on this node. */
export type Choice = 'all' | 'local';

/** What a port of a Service needs somebody to accept: none of what no socket can (SCTP), which the kernel leads to backends itself. */
export interface WantedListener {
  readonly id: string;
  readonly protocol: 'tcp' | 'udp';
  readonly backends: readonly Backend[];
  /** Those that clients stay with, once led there. */
  readonly flowBackends: readonly Backend[];
  readonly affinitySeconds: number | undefined;
}

const SCTP = 132;

/** Pure. In any order; one with backends each. */
export function planListeners(ports: readonly ProxyPort[]): readonly WantedListener[] {
  return ports.flatMap((port) =>
    (['all', 'local'] as const).flatMap((choice): readonly WantedListener[] => {
      const backends = choice === 'all' ? port.backends : port.localBackends;
      const isWanted = choice === 'all' || port.isInternalLocal || port.isExternalLocal;
      if (port.protocol === SCTP || backends.length === 0 || !isWanted) return [];
      const { affinitySeconds, flowBackends = backends } = port;
      const protocol = port.protocol === 6 ? 'tcp' : 'udp';
      return [{ id: listenerId(port, choice), protocol, backends, flowBackends, affinitySeconds }];
    }),
  );
}

function listenerId(port: ProxyPort, choice: Choice): string {
  return `${port.id} ${port.protocol} ${choice}`;
}

/**
 * The port as the rules have it: its listeners are its backends, and what a client is kept at is their business. `portOf` gives the
 * port of the node at which the listener of an id accepts. Pure.
 */
export function redirectPort(
  port: ProxyPort,
  host: string,
  portOf: (id: string) => number | undefined,
): ProxyPort {
  if (port.protocol === SCTP) return port;
  const at = (choice: Choice): readonly Backend[] => {
    const number = portOf(listenerId(port, choice));
    return number === undefined ? [] : [{ ip: host, port: number, isLocal: false }];
  };
  const backends = at('all');
  const localBackends = port.localBackends.length === 0 ? [] : at('local');
  return { ...port, backends, localBackends, affinitySeconds: undefined };
}

/** The rules of ports whose backends are listeners: as of any others, and nobody comes to a listener but by them. Pure. */
export function renderRedirects(ports: readonly ProxyPort[], facts: FamilyFacts): Contribution {
  const contribution = renderContribution(ports, facts);
  const listening = ports
    .filter(({ protocol }) => protocol !== SCTP)
    .flatMap(({ protocol, backends, localBackends }) =>
      [...backends, ...localBackends].map(({ port }) => ({ key: [protocol, port] })),
    );
  return {
    ...contribution,
    elements: [...contribution.elements, ...listening.map((element) => ({ set: listenersSet, element }))],
  };
}
