import type { IpFamily } from '#base/ip.ts';
import { ofFamily } from '#agent/network/cluster-network.ts';
import { createNftRules, type NftRulesOptions } from '#agent/proxy/nft-rules.ts';
import type { ServedService, ServiceRules } from '#agent/proxy/service-rules.ts';
import { createBalancer, type Balancer } from './balancer.ts';
import type { Listener } from './listener.ts';
import { planListeners, redirectPort, renderRedirects, type WantedListener } from './redirect.ts';
import { createSessions } from './sessions.ts';
import { listenTcp } from './tcp-listener.ts';
import { listenUdp } from './udp-listener.ts';

interface Open {
  readonly listener: Listener;
  readonly balancer: Balancer;
}

/** Of a Service in a family: its listeners by id. */
type Listeners = Map<string, Open>;

/** Listeners that are opened at a time. */
const openingMax = 32;

/**
 * Connections and packets are taken by this process, in turn for each backend; the kernel's rules only lead them here. What it
 * forwards has the node's address.
 */
export function createUserspaceRules(options: NftRulesOptions): ServiceRules {
  const { clock, nodeIps } = options;
  const rules = createNftRules({ ...options, listeners: { render: renderRedirects } });
  const sessions = createSessions();
  const changed = new Map<`${IpFamily} ${string}`, ServedService>();
  const listeners = new Map<`${IpFamily} ${string}`, Listeners>();
  const closing: Listener[] = [];
  const hostOf = (family: IpFamily): string => ofFamily(nodeIps, family)[0] ?? '';

  const open = async (wanted: WantedListener, family: IpFamily): Promise<Open> => {
    const balancer = createBalancer();
    balancer.setBackends(wanted.backends, wanted.affinitySeconds);
    const listen = wanted.protocol === 'tcp' ? listenTcp : listenUdp;
    return { balancer, listener: await listen({ host: hostOf(family), balancer, sessions, clock }) };
  };
  /** Opens what it lacks, and leads the packets there. What it needs no more is closed after the commit. */
  const settle = async (service: ServedService): Promise<void> => {
    const { key, family, ports } = service;
    const own: Listeners = listeners.get(`${family} ${key}`) ?? new Map();
    listeners.set(`${family} ${key}`, own);
    const wanted = planListeners(ports);
    for (const each of wanted) {
      const known = own.get(each.id);
      known?.balancer.setBackends(each.backends, each.affinitySeconds);
      known?.listener.noteBackends(each.flowBackends);
      if (known === undefined) own.set(each.id, await open(each, family));
    }
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, { listener }] of [...own].filter(([id]) => !ids.has(id))) {
      closing.push(listener);
      own.delete(id);
    }
    if (own.size === 0) listeners.delete(`${family} ${key}`);
    const portOf = (id: string): number | undefined => own.get(id)?.listener.port;
    rules.set({ key, family, ports: ports.map((port) => redirectPort(port, hostOf(family), portOf)) });
  };
  return {
    set: (service) => void changed.set(`${service.family} ${service.key}`, service),
    commit: async () => {
      const failures: unknown[] = [];
      const due = [...changed];
      for (let i = 0; i < due.length; i += openingMax)
        await Promise.all(
          due.slice(i, i + openingMax).map(async ([id, service]) => {
            try {
              await settle(service);
              // Unless it became another one meanwhile.
              if (changed.get(id) === service) changed.delete(id);
            } catch (error) {
              failures.push(error);
            }
          }),
        );
      await rules.commit();
      await Promise.all(closing.splice(0).map((listener) => listener[Symbol.asyncDispose]()));
      // The others are served meanwhile.
      if (failures.length > 0) throw new AggregateError(failures, 'open listeners of Services');
    },
    relayout: (networks) => rules.relayout(networks),
    isWhole: () => rules.isWhole() && changed.size === 0,
    isStaleLeft: () => rules.isStaleLeft(),
    tables: () => rules.tables(),
    watch: (onLost) => rules.watch(onLost),
    [Symbol.asyncDispose]: async () => {
      await rules[Symbol.asyncDispose]();
      const all = [...listeners.values()].flatMap((own) => [...own.values()].map(({ listener }) => listener));
      await Promise.all([...all, ...closing].map((listener) => listener[Symbol.asyncDispose]()));
    },
  };
}
