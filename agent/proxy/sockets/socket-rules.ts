import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { settleAll } from '#base/settle-all.ts';
import type { ServedService, ServiceRules } from '#agent/proxy/service-rules.ts';
import {
  backendsMax,
  frontendsMax,
  type BalancedFrontend,
  type Moved,
  type SocketBalancer,
} from '#native/bpf/sockets/socket-balancer.ts';
import { balancedFrontends } from './balanced.ts';

export interface SocketRulesOptions {
  readonly balancer: SocketBalancer;
  readonly log: Logger;
  readonly bounds?: SocketBounds;
}

export interface SocketBounds {
  readonly frontendsMax: number;
  readonly backendsMax: number;
}

/**
 * Rules for Services, and what of them sockets are led by beside: a commit has done both. Whatever sockets are not led by is what the rules
 * are for, so that nothing is lost where this kernel cannot.
 */
export function withSockets(rules: ServiceRules, options: SocketRulesOptions): ServiceRules {
  const { balancer, log } = options;
  const frontends = createFrontends(options);
  let needsWhole = true;
  let isRefused = false;

  const tellOfMoves = ({ count, failures }: Moved): void => {
    if (count > 0) log.debug({ count }, 'connected sockets of UDP have another backend');
    // Their own program can connect them anew, and no other commit would do better.
    if (failures.length > 0)
      log.warn({ failures }, 'connected sockets of UDP stay with a backend that is gone');
  };
  const commitSockets = async (): Promise<void> => {
    if (isRefused) return;
    try {
      const changes = frontends.takeChanges();
      if (needsWhole) tellOfMoves(await balancer.replace(frontends.all()));
      else if (changes.length > 0) {
        needsWhole = true; // Until the kernel has said yes.
        tellOfMoves(await balancer.change(changes));
      }
      needsWhole = false;
    } catch (error) {
      needsWhole = true;
      isRefused = isPodwrightError(error, 'E_UNSUPPORTED');
      if (!isRefused) throw error;
      log.warn({ error: describeError(error) }, 'no fast path to Services here: their rules do all');
    }
  };
  return {
    ...rules,
    set: (service) => {
      rules.set(service);
      frontends.set(service);
    },
    commit: async () => {
      await settleAll([rules.commit(), commitSockets()]);
    },
    isWhole: () => rules.isWhole() && (isRefused || (!needsWhole && !frontends.hasChanges())),
    [Symbol.asyncDispose]: async () => {
      balancer[Symbol.dispose](); // What is attached outlives the agent, as rules do.
      await rules[Symbol.asyncDispose]();
    },
  };
}

interface Frontends {
  set(service: ServedService): void;
  takeChanges(): readonly BalancedFrontend[];
  hasChanges(): boolean;
  all(): readonly BalancedFrontend[];
}

interface Held extends BalancedFrontend {
  /** The Service that has it, of a family. */
  readonly owner: string;
}

/** What is wanted of sockets, by frontend: an address may go from one Service to another within one commit. */
function createFrontends({ log, bounds = { frontendsMax, backendsMax } }: SocketRulesOptions): Frontends {
  const held = new Map<string, Held>();
  const byOwner = new Map<string, readonly string[]>();
  const changed = new Set<string>();
  let backendCount = 0;
  let isFullTold = false;

  const drop = (key: string): void => {
    backendCount -= held.get(key)?.backends.length ?? 0;
    if (held.delete(key)) changed.add(key);
  };
  const put = (key: string, wanted: Held): void => {
    const old = held.get(key);
    const count = backendCount - (old?.backends.length ?? 0) + wanted.backends.length;
    if (count > bounds.backendsMax || (old === undefined && held.size >= bounds.frontendsMax)) {
      if (!isFullTold) log.warn({ owner: wanted.owner, ...bounds }, 'some Services are left to their rules');
      isFullTold = true;
      drop(key);
      return;
    }
    held.set(key, wanted);
    backendCount = count;
    if (old === undefined || !isSame(old.backends, wanted.backends)) changed.add(key);
  };
  return {
    set: ({ key, family, ports }) => {
      const owner = `${key} ${family}`;
      const wanted = new Map(balancedFrontends(ports).map((each) => [textOf(each), each]));
      for (const text of byOwner.get(owner) ?? [])
        if (!wanted.has(text) && held.get(text)?.owner === owner) drop(text);
      for (const [text, each] of wanted) put(text, { ...each, owner });
      if (wanted.size === 0) byOwner.delete(owner);
      else byOwner.set(owner, [...wanted.keys()]);
    },
    takeChanges: () => {
      const changes = [...changed].map((text) => held.get(text) ?? { ...readText(text), backends: [] });
      changed.clear();
      return changes;
    },
    hasChanges: () => changed.size > 0,
    all: () => [...held.values()],
  };
}

type Place = Pick<BalancedFrontend, 'protocol' | 'frontend'>;

const textOf = ({ protocol, frontend: { ip, port } }: Place): string => `${ip} ${port} ${protocol}`;

function readText(text: string): Place {
  const [ip = '', port = '', protocol] = text.split(' ');
  return { protocol: protocol === 'udp' ? 'udp' : 'tcp', frontend: { ip, port: Number(port) } };
}

/** Both in order. */
function isSame(a: BalancedFrontend['backends'], b: BalancedFrontend['backends']): boolean {
  return (
    a.length === b.length && a.every(({ ip, port }, index) => ip === b[index]?.ip && port === b[index].port)
  );
}
