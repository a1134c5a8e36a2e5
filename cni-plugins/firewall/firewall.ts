import { isPodwrightError } from '#base/errors.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';
import { runIptables } from './iptables.ts';
import { parseFirewall, planFirewall, type FirewallRule } from './plan.ts';

/** Lets a container's packets through the host's firewall, where that drops what it forwards. */
export const firewall: CniPlugin = {
  name: 'firewall',
  async add(call, _host, signal) {
    const config = parseFirewall(call.config);
    if (call.prevResult === undefined) {
      throw cniError(
        cniErrorCode.invalidNetworkConfig,
        'firewall: prevResult is missing; it comes after a plugin that gives addresses',
      );
    }
    const plan = planFirewall(config, call.prevResult);
    for (const { family, name } of plan.chains) {
      const make = runIptables(family, ['-N', name], signal);
      await make.catch(async (error: unknown) => {
        // Most often it is there.
        if (isPodwrightError(error, 'E_KERNEL')) await runIptables(family, ['-n', '-L', name], signal);
        else throw error;
      });
    }
    for (const rule of plan.rules) {
      if (await hasRule(rule, signal)) continue;
      const { family, chain, first } = rule;
      await runIptables(family, [first === true ? '-I' : '-A', chain, ...rule.rule], signal);
    }
    return call.prevResult;
  },
  async del(call, _host, signal) {
    if (call.prevResult === undefined) return;
    const { rules } = planFirewall({ ...parseFirewall(call.config), ingressPolicy: 'open' }, call.prevResult);
    for (const rule of rules.filter(({ shared }) => shared !== true)) {
      if (await hasRule(rule, signal))
        await runIptables(rule.family, ['-D', rule.chain, ...rule.rule], signal);
    }
  },
  async check(call, _host, signal) {
    if (call.prevResult === undefined)
      throw cniError(cniErrorCode.invalidNetworkConfig, 'firewall CHECK: prevResult is missing');
    for (const rule of planFirewall(parseFirewall(call.config), call.prevResult).rules) {
      if (await hasRule(rule, signal)) continue;
      throw cniError(
        cniErrorCode.unknownContainer,
        `firewall CHECK: ${rule.chain} has no rule ${rule.rule.join(' ')}`,
      );
    }
  },
  async gc() {
    // Rules do not say whose they are; DEL with the cached result removes them.
  },
  async status(_call, _host, signal) {
    try {
      await runIptables(4, ['-n', '-L', 'FORWARD'], signal);
    } catch (cause) {
      throw cniError(cniErrorCode.pluginNotAvailable, 'firewall: iptables does not work here', { cause });
    }
  },
};

async function hasRule({ family, chain, rule }: FirewallRule, signal: AbortSignal): Promise<boolean> {
  try {
    await runIptables(family, ['-C', chain, ...rule], signal);
    return true;
  } catch (error) {
    if (isPodwrightError(error, 'E_KERNEL')) return false;
    throw error;
  }
}
