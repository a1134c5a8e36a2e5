import { Command } from 'commander';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { addCloudControllerCommand } from './add-command.ts';
import { cloudFault, loadCloud } from './load-cloud.ts';
import {
  cloudFaults,
  cloudProblems,
  cloudSettingsOf,
  leaseTimesOf,
  type CloudControllerCommandOptions,
} from './options.ts';

function parse(...args: readonly string[]): CloudControllerCommandOptions {
  const program = new Command();
  addCloudControllerCommand(program);
  const [command] = program.commands;
  let parsed: CloudControllerCommandOptions | undefined;
  command?.action((options) => void (parsed = options as CloudControllerCommandOptions));
  program.parse(['cloud-controller', '--cloud-provider', 'cloud.ts', ...args], { from: 'user' });
  if (parsed === undefined) throw new Error('not parsed');
  return parsed;
}

describe('cloudProblems()', () => {
  it.each<[readonly string[], readonly string[]]>([
    [[], []],
    [['--leader-elect=false', '--configure-cloud-routes=false', '--controllers', '*,-route'], []],
    [['--cluster-cidr', '10.244.0.0/16,fd00::/56'], []],
    [['--cluster-cidr', 'x'], ['--cluster-cidr x: not a network; write 10.244.0.0/16']],
    [['--leader-elect=maybe'], ['--leader-elect=maybe: write true or false']],
    [['--node-monitor-period', '0s'], ['--node-monitor-period 0s: must be 100ms at least']],
    [['--node-monitor-period', 'x'], ['--node-monitor-period x: not a duration; write 2m, 1h30m']],
    [
      ['--controllers', 'job'],
      [
        '--controllers: "job" is not in the list of known controllers: cloud-node-controller, cloud-node-lifecycle-controller, service-lb-controller, node-route-controller',
      ],
    ],
    [
      ['--leader-elect-renew-deadline', '20s'],
      [
        '--leader-elect-retry-period < --leader-elect-renew-deadline < --leader-elect-lease-duration must hold',
      ],
    ],
    [
      ['--leader-elect-lease-duration', '15500ms'],
      ['--leader-elect-lease-duration 15500ms: a Lease says whole seconds'],
    ],
    [['--cluster-name', ''], ['--cluster-name: must not be empty']],
  ])('%j', (args, want) => {
    expect(cloudProblems(parse(...args))).toEqual(want);
  });

  it('has the defaults of kube-cloud-controller-manager', () => {
    expect(leaseTimesOf(parse())).toEqual({
      lookMs: 2000,
      renewMs: 2000,
      holderEndsMs: 10_000,
      leaseMs: 15_000,
    });
    expect(cloudSettingsOf(parse())).toMatchObject({
      ...{ nodeStatusUpdateMs: 300_000, nodeMonitorMs: 5000, nodeSyncsMax: 1, serviceSyncsMax: 1 },
      routes: { clusterCidrs: [], periodMs: 10_000 },
    });
    const { isOn } = cloudSettingsOf(parse('--controllers', '*,-cloud-node'));
    expect([isOn('cloud-node-controller'), isOn('service-lb-controller')]).toEqual([false, true]);
  });

  it('wants networks for routes', () => {
    const cloud = { name: 'toy', routes: {} };
    const problem = 'the cloud toy has routes: say --cluster-cidr, or --configure-cloud-routes=false';
    expect(cloudFaults(cloudSettingsOf(parse()), cloud)).toEqual([problem]);
    expect(cloudFaults(cloudSettingsOf(parse('--configure-cloud-routes=false')), cloud)).toEqual([]);
    expect(cloudFaults(cloudSettingsOf(parse()), { name: 'toy' })).toEqual([]);
  });
});

describe('loadCloud()', () => {
  const setup = { clusterName: 'k', log: () => undefined, signal: new AbortController().signal };
  const directory = scratchDirectory('cloud-');
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  it('gives the module its name and its file', async () => {
    const text = `export const createCloud = async ({ clusterName, config }: { clusterName: string; config?: string }) =>
      ({ name: clusterName + config, instances: { find: async () => undefined } });`;
    const cloud = await loadCloud(write('good.ts', text), write('conf', '-x'), setup);
    expect(cloud.name).toBe('k-x');
  });
  it.each<[string, string, string]>([
    ['none', 'export const x = 1;', 'it exports no function createCloud'],
    ['throws', 'export const createCloud = () => { throw new Error("no account"); };', 'no account'],
    ['nothing', 'export const createCloud = () => 1;', 'what createCloud gives is no object'],
  ])('says what is wrong: %s', async (name, text, want) => {
    const path = write(`${name}.ts`, text);
    await expect(loadCloud(path, undefined, setup)).rejects.toThrow(`load cloud ${path}: ${want}`);
  });
  it('says what is missing', async () => {
    const gone = join(directory, 'gone.ts');
    await expect(loadCloud(gone, undefined, setup)).rejects.toThrow(`load cloud ${gone}: no such file`);
    await expect(loadCloud(directory, undefined, setup)).rejects.toThrow(
      `load cloud ${directory}: it is a directory; --cloud-provider`,
    );
    expect(cloudFault({ name: '' })).toBe('has no name');
    expect(cloudFault({ name: 'a' })).toBe('has none of instances, loadBalancers, routes');
    expect(cloudFault({ name: 'a', routes: { list: () => [] } })).toBe('has no function routes.create');
  });
});
