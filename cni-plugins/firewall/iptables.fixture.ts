/** The table filter of iptables and ip6tables in memory, as far as the firewall plugin asks it. */
import { PodwrightError } from '#base/errors.ts';
import type { Iptables } from './iptables.ts';

export interface FakeIptables {
  readonly run: Iptables;
  /** `4 CHAIN -s 10.1.0.2/32 -j ACCEPT`, in the order of each chain. */
  rules(): readonly string[];
  /** Forgets the rules that somebody else's program takes away. */
  removeRules(matching: (rule: string) => boolean): void;
}

/** `onChange` is told of each change before it is made, and may throw in its stead. */
export function createFakeIptables(onChange: (what: string) => void = () => undefined): FakeIptables {
  const chains = new Map<string, string[]>(['4', '6'].map((family) => [`${family} FORWARD`, []]));
  const run: Iptables = async (family, args) => {
    const words = args.filter((word) => word !== '-n');
    const [command = '', name = '', ...rest] = words;
    const rule = rest.join(' ');
    const refuse = (why: string): never => {
      throw new PodwrightError('E_KERNEL', `iptables ${args.join(' ')}: ${why}`);
    };
    const own = chains.get(`${family} ${name}`);
    const change = (work: () => unknown): void => {
      onChange(`iptables ${args.join(' ')}`);
      work();
    };
    if (command === '-N') {
      if (own !== undefined) refuse('Chain already exists.');
      return change(() => chains.set(`${family} ${name}`, []));
    }
    if (own === undefined) return refuse('No chain/target/match by that name.');
    switch (command) {
      case '-L':
        return undefined;
      case '-C':
        return own.includes(rule)
          ? undefined
          : refuse('Bad rule (does a matching rule exist in that chain?).');
      case '-D':
        if (!own.includes(rule)) refuse('Bad rule (does a matching rule exist in that chain?).');
        return change(() => own.splice(own.indexOf(rule), 1));
      case '-I':
        return change(() => own.unshift(rule));
      case '-A':
        return change(() => own.push(rule));
      default:
        return refuse('unknown option');
    }
  };
  return {
    run,
    rules: () => [...chains].flatMap(([chain, own]) => own.map((rule) => `${chain} ${rule}`)),
    removeRules: (matching) => {
      for (const [chain, own] of chains)
        chains.set(
          chain,
          own.filter((rule) => !matching(rule)),
        );
    },
  };
}
