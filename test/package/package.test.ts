import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, expect, it } from 'vitest';
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { renderKinds } from '#client/custom/render-kind.ts';
import { makeProject } from './project.ts';

const project = makeProject();
afterAll(() => project[Symbol.dispose]());

it('holds what programs need, and no tests', () => {
  const odd = project.packed.filter((path) =>
    /\.(test|fixture|conformance)\.|\/golden\/|(?<!\.d)\.ts$/.test(path),
  );
  expect(odd).toEqual([]);
  expect(project.packed).toEqual(
    expect.arrayContaining([
      'build/package/client/public.js',
      'build/package/client/public.d.ts',
      'build/package/test/environment/public.js',
      'build/package/control-plane/store/disk.worker.js',
      'build/package/api/facts/schema-1.36.json',
      'build/package/package.json',
      'docs/client.md',
    ]),
  );
});

it('lets nobody import what is not exported', async () => {
  const script = `import('podwright/client/lease.js').then(() => process.exit(1), (error) => console.log(error.code))`;
  expect((await project.node(['-e', script])).trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
});

it('its types are those of a project that is compiled strictly', async () => {
  await project.node(['node_modules/typescript/bin/tsc', '--noEmit']);
});

it('its program writes the types of the example', async () => {
  const program = 'node_modules/podwright/build/package/bin/podwright.js';
  const written = await project.node([
    '--disable-warning=ExperimentalWarning',
    program,
    'types',
    'widget.crd.yaml',
  ]);
  const definition = load(readFileSync(join(repositoryRoot, 'examples/operator/widget.crd.yaml'), 'utf8'));
  expect(written.trimEnd()).toBe(renderKinds([definition as CustomResourceDefinition]).trimEnd());
  expect(written.trimEnd()).toBe(
    readFileSync(join(repositoryRoot, 'examples/operator/widget.ts'), 'utf8').trimEnd(),
  );
});

it('the operator of the example passes its own tests', async () => {
  expect(await project.node(['--test', 'operator.spec.ts'])).toMatch(/# pass 1|pass 1/);
});

it('a suite of vitest has a cluster, too', async () => {
  const suite = `
    import { expect, it } from 'vitest';
    import { namespaces } from 'podwright/client';
    import { startCluster } from 'podwright/test';
    it('has a cluster', async () => {
      await using cluster = await startCluster();
      expect((await cluster.client.list(namespaces)).items.length).toBeGreaterThan(3);
    });`;
  writeFileSync(join(project.directory, 'suite.test.ts'), suite);
  expect(
    await project.node(['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=60000', 'suite.test.ts']),
  ).toMatch(/1 passed/);
});

it('programs outside get a real cluster', async () => {
  const script = `
    import { startCluster } from 'podwright/test';
    import { namespaces } from 'podwright/client';
    await using cluster = await startCluster();
    console.log((await cluster.client.list(namespaces)).items.length);`;
  expect(Number(await project.node(['--input-type=module', '-e', script]))).toBeGreaterThan(3);
});
