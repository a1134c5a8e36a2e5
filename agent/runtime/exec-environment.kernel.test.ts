import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeDeviceFilter } from '#native/bpf/device-filter.fake.ts';
import { enterOwnMounts } from '#native/fs/own-mounts.fixture.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { documentOf } from './container-document.ts';
import { environmentOf, forgetEnvironments, inlineLengthMax, keepEnvironment } from './exec-environment.ts';
import type { ContainerDocument } from './pod-state.ts';
import { containerConfig, sandboxConfig } from './runtime.conformance.ts';
import { createLinuxSystem } from './system.linux.ts';

describe.skipIf(process.getuid?.() !== 0)('environments of a pod (needs root)', () => {
  const mounts = createMounts();
  const system = createLinuxSystem({ cgroups: undefined, mounts, devices: new FakeDeviceFilter() });
  let scratch: string;
  beforeAll(() => {
    enterOwnMounts();
    scratch = mkdtempSync(path.join(tmpdir(), 'walk-env-'));
    mounts.mount(scratch, { kind: 'tmpfs', sizeBytes: 262_144 });
  });
  afterAll(() => {
    mounts.unmountTree(scratch);
    rmSync(scratch, { recursive: true });
  });

  const withEnv = (id: string, env: readonly string[]): ContainerDocument => {
    const user = { uid: 0, gid: 0, additionalGids: [] };
    const config = containerConfig({ imageId: 'sha256:0', directory: '/logs' }, { id, name: id });
    const launch = { env, cwd: '/', user, security: config.security };
    const plan = { launch, cgroup: { path: 'c', resources: {} }, stopSignal: 15 };
    return documentOf(config, { plan, layerIds: [], sandbox: sandboxConfig('u'), nowMs: 0 });
  };
  const large = Array.from({ length: 16 }, (_, index) => `V${index}=${'ü'.repeat(65_000)}`);

  it('lie on a tmpfs of the pod’s own, up to so many; another pod has room all the same', async () => {
    const kept: ContainerDocument[] = [];
    const pod = path.join(scratch, 'pod');
    mkdirSync(pod);
    const keep = (id: string, env: readonly string[]): Promise<ContainerDocument> =>
      keepEnvironment(pod, withEnv(id, env), { others: kept, system });
    kept.push(await keep('small', ['A=1']));
    expect(kept[0]?.exec.env).toEqual(['A=1']);
    await expect(
      (async () => {
        for (let index = 0; index < 100; index++) kept.push(await keep(`c${index}`, large));
      })(),
    ).rejects.toThrow(/^keep the environment of c\d+: .* more than 33554432 bytes together; give less/);
    expect(kept.length).toBeGreaterThan(15);
    for (const document of kept.slice(1)) expect(document.exec.env).toEqual([]);
    expect(await environmentOf(pod, kept[0] ?? withEnv('', []))).toEqual(['A=1']);
    expect(await environmentOf(pod, kept[1] ?? withEnv('', []))).toEqual(large);
    const other = path.join(scratch, 'other');
    mkdirSync(other);
    const document = await keepEnvironment(other, withEnv('o', large), { others: [], system });
    expect(await environmentOf(other, document)).toEqual(large);
    for (const each of [pod, other]) await forgetEnvironments(each, system);
    expect(readdirSync(path.join(pod, 'env'))).toEqual([]);
  });

  it('stay in the documents while those of the pod are little together', async () => {
    const pod = path.join(scratch, 'third');
    mkdirSync(pod);
    const env = [`A=${'x'.repeat(inlineLengthMax / 4)}`];
    const kept: ContainerDocument[] = [];
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      kept.push(await keepEnvironment(pod, withEnv(id, env), { others: kept, system }));
    }
    expect(kept.map(({ hasEnvironmentFile }) => hasEnvironmentFile === true)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    await forgetEnvironments(pod, system);
  });
});
