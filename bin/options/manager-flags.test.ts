import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { controllerNames } from '#control-plane/controllers/controller-names.ts';
import { addControllerOptions, controllerProblems, nodeZonesOf } from './controller-options.ts';
import { managerSettingsOf, refusedFlags, syncFlags, type ManagerFlags } from './manager-flags.ts';

function parse(...args: readonly string[]): ManagerFlags {
  const command = addControllerOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(args, { from: 'user' }).opts();
}

describe('flags of kube-controller-manager', () => {
  it('have no effect where they are not said', () => {
    expect(managerSettingsOf(parse())).toEqual({
      ...{ syncs: {}, terminatedPodsMax: undefined, tokenCleanUpMs: undefined, waitsForSilentNodes: false },
    });
    expect(controllerProblems(parse())).toEqual([]);
  });

  it('say how many keys a loop works on at once', () => {
    expect(syncFlags.every(([, loop]) => controllerNames.includes(loop))).toBe(true);
    for (const [name, loop] of syncFlags) {
      const flag = name.startsWith('mirroring-')
        ? '--mirroring-concurrent-service-endpoint-syncs'
        : `--concurrent-${name}-syncs`;
      expect(managerSettingsOf(parse(flag, '7')).syncs, flag).toEqual({ [loop]: 7 });
    }
    expect(() => parse('--concurrent-job-syncs', '0')).toThrow('takes a whole number from 1 to 10000');
  });

  it('say whether a silent node keeps its volumes', () => {
    expect(managerSettingsOf(parse('--disable-force-detach-on-timeout')).waitsForSilentNodes).toBe(true);
  });

  it.each(refusedFlags)('refuse --%s, with what to do', (flag, remedy) => {
    expect(controllerProblems(parse(`--${flag}=1`))).toEqual([`--${flag}: ${remedy}`]);
  });

  it('say how long nodes may be silent, how many pods stay, and tokens are kept', () => {
    expect(nodeZonesOf(parse('--node-monitor-grace-period', '50s'))).toMatchObject({ graceMs: 50_000 });
    expect(controllerProblems(parse('--node-monitor-grace-period', 'x'))).toEqual([
      '--node-monitor-grace-period x: not a duration; write 2m, 1h30m',
    ]);
    expect(controllerProblems(parse('--node-monitor-grace-period', '1ms'))).toHaveLength(1);
    expect(nodeZonesOf(parse('--node-startup-grace-period', '2m'))).toMatchObject({
      startupGraceMs: 120_000,
    });
    expect(controllerProblems(parse('--node-startup-grace-period', '1ms'))).toHaveLength(1);
    const all = [
      '--terminated-pod-gc-threshold',
      '9',
      '--legacy-service-account-token-clean-up-period',
      '24h',
    ];
    expect(managerSettingsOf(parse(...all))).toMatchObject({
      terminatedPodsMax: 9,
      tokenCleanUpMs: 86_400_000,
    });
  });
});
