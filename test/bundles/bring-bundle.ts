/** Brings what a bundle has to a server, in one command as its users do. */
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Tally } from '#test/clients/tally.ts';
import { eventually } from '#test/cluster/cluster.ts';
import type { BareServer } from './bare-server.ts';
import type { Bundle } from './read-bundles.ts';

export async function bringBundle(
  server: BareServer,
  bundle: Bundle,
  verb: readonly string[],
  tally: Tally,
): Promise<void> {
  const where = await namespaceOf(server, bundle);
  const { code, stdout, stderr } = await server.kubectl([
    ...verb,
    ...where,
    ...bundle.files.flatMap((file) => ['-f', file]),
  ]);
  const done = stdout.trim().split('\n');
  const problem =
    code === 0 && stderr === '' && done.length === bundle.objects.length
      ? undefined
      : `exit code ${code}, ${done.length} of ${bundle.objects.length} objects\n${stderr}`;
  tally.add(
    bundle.name,
    verb.join(' '),
    problem === undefined ? { kind: 'passed' } : { kind: 'failed', why: problem },
  );
  for (const definition of new Set(bundle.kinds.map(({ definition }) => definition)))
    await eventually(`${definition} is Established`, async () => isEstablished(server, definition));
  tally.note('', `${bundle.name}: ${verb.join(' ')} of ${done.length} objects`);
}

/** That which parts of a bundle name (Argo CD's bindings name argocd), where its manifests leave it to their users. */
async function namespaceOf(server: BareServer, { objects }: Bundle): Promise<readonly string[]> {
  const subjects = objects.flatMap((object) => objectsOf(object['subjects']));
  const [name] = subjects.map((subject) => stringOf(subject['namespace'])).filter((each) => each !== '');
  if (name === undefined) return [];
  await server.kubectl(['create', 'namespace', name]);
  return ['--namespace', name];
}

async function isEstablished(server: BareServer, definition: string): Promise<boolean> {
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition}`;
  const { text } = await server.ask('GET', path);
  return objectsOf(at(JSON.parse(text), 'status.conditions')).some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
}
