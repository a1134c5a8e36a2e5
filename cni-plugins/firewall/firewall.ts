import { timeoutSignal } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';
import {
  addSources,
  isFirewalldThere,
  missingSources,
  planSources,
  removeSources,
  type Sources,
} from './firewalld.ts';
import { runIptables, type Iptables } from './iptables.ts';
import {
  parseFirewall,
  planFirewall,
  planIngress,
  type FirewallConfig,
  type FirewallPlan,
  type FirewallRule,
} from './plan.ts';

/** Undoing goes on when the caller has given up, but not for ever. */
const undoMsMax = 10_000;

/** Lets a container's packets through the host's firewall, where that drops what it forwards. */
export function createFirewall(iptables: Iptables = runIptables): CniPlugin {
  return {
    name: 'firewall',
    async add(call, _host, signal) {
      const config = parseFirewall(call.config);
      if (call.prevResult === undefined) {
        throw cniError(
          cniErrorCode.invalidNetworkConfig,
          'firewall: prevResult is missing; it comes after a plugin that gives addresses',
        );
      }
      const { sources, plan } = await planBoth(config, call.prevResult);
      await using undo = new AsyncDisposableStack();

      if (sources !== undefined) {
        undo.defer(() => removeSources(sources));
        await addSources(sources);
      }
      await addRules(iptables, plan, { undo, signal });
      undo.move();
      return call.prevResult;
    },
    async del(call, _host, signal) {
      if (call.prevResult === undefined) return;
      const config = { ...parseFirewall(call.config), ingressPolicy: 'open' } as const;
      const { sources, plan } = await planBoth(config, call.prevResult);
      if (sources !== undefined) await removeSources(sources);
      for (const rule of plan.rules.filter(({ shared }) => shared !== true))
        await removeRule(iptables, rule, signal);
    },
    async check(call, _host, signal) {
      if (call.prevResult === undefined)
        throw cniError(cniErrorCode.invalidNetworkConfig, 'firewall CHECK: prevResult is missing');
      const { sources, plan } = await planBoth(parseFirewall(call.config), call.prevResult);
      const missing = sources === undefined ? [] : await missingSources(sources);
      if (missing.length > 0)
        throw cniError(
          cniErrorCode.unknownContainer,
          `firewall CHECK: zone ${sources?.zone} of firewalld has no source ${missing.join(', ')}`,
        );
      for (const rule of plan.rules) {
        if (await hasRule(iptables, rule, signal)) continue;
        throw cniError(
          cniErrorCode.unknownContainer,
          `firewall CHECK: ${rule.chain} has no rule ${rule.rule.join(' ')}`,
        );
      }
    },
    async gc() {
      // Rules do not say whose they are; DEL with the cached result removes them.
    },
    async status(call, _host, signal) {
      const { backend } = parseFirewall(call.config);
      const isThere = backend === 'iptables' ? false : await isFirewalldThere();
      if (isThere) return;
      if (backend === 'firewalld')
        throw cniError(cniErrorCode.pluginNotAvailable, 'firewall: firewalld does not run');
      try {
        await iptables(4, ['-n', '-L', 'FORWARD'], signal);
      } catch (cause) {
        throw cniError(cniErrorCode.pluginNotAvailable, 'firewall: iptables does not work here', { cause });
      }
    },
  };
}

/** By whichever lets packets through here; from bridge to bridge rules of iptables keep them either way. */
async function planBoth(
  config: FirewallConfig,
  previous: CniResult,
): Promise<{ readonly sources: Sources | undefined; readonly plan: FirewallPlan }> {
  const isFirewalld =
    config.backend === 'firewalld' || (config.backend === undefined && (await isFirewalldThere()));
  return isFirewalld
    ? { sources: planSources(config.zone, previous), plan: planIngress(config, previous) }
    : { sources: undefined, plan: planFirewall(config, previous) };
}

/** `undo` takes away again what it makes for this container alone. */
async function addRules(
  iptables: Iptables,
  { chains, rules }: FirewallPlan,
  { undo, signal }: { readonly undo: AsyncDisposableStack; readonly signal: AbortSignal },
): Promise<void> {
  for (const { family, name } of chains) {
    const make = iptables(family, ['-N', name], signal);
    await make.catch(async (error: unknown) => {
      // Most often it is there.
      if (!isPodwrightError(error, 'E_KERNEL')) throw error;
      await iptables(family, ['-n', '-L', name], signal).catch(() => Promise.reject(error));
    });
  }
  for (const rule of rules) {
    if (await hasRule(iptables, rule, signal)) continue;
    const { family, chain, first, shared } = rule;
    if (shared !== true) undo.defer(() => removeRule(iptables, rule, timeoutSignal(undoMsMax)));
    await iptables(family, [first === true ? '-I' : '-A', chain, ...rule.rule], signal);
  }
}

/** Succeeds if it is gone. */
async function removeRule(iptables: Iptables, rule: FirewallRule, signal: AbortSignal): Promise<void> {
  if (await hasRule(iptables, rule, signal))
    await iptables(rule.family, ['-D', rule.chain, ...rule.rule], signal);
}

async function hasRule(
  iptables: Iptables,
  { family, chain, rule }: FirewallRule,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await iptables(family, ['-C', chain, ...rule], signal);
    return true;
  } catch (error) {
    if (isPodwrightError(error, 'E_KERNEL')) return false;
    throw error;
  }
}
