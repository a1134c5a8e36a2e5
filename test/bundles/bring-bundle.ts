/** Brings what a bundle has to a server, each time in one command as its users do, and takes it away again. */
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Tally } from '#test/clients/tally.ts';
import { eventually } from '#test/cluster/cluster.ts';
import type { BareServer } from './bare-server.ts';
import type { Bundle } from './read-bundles.ts';
import { pathOf } from './sample-object.ts';

/** Of all annotations of an object (apimachinery's TotalAnnotationSizeLimitB); kubectl's own has the object as it was applied. */
const annotationBytesMax = 262_144;

type Bring = (server: BareServer, bundle: Bundle, tally: Tally) => Promise<void>;

interface Said {
  readonly code: number;
  /** Lines on stdout: one for each object that was brought. */
  readonly done: readonly string[];
  readonly stderr: string;
}

async function bring(server: BareServer, bundle: Bundle, verb: readonly string[]): Promise<Said> {
  const where = await namespaceOf(server, bundle);
  const files = bundle.files.flatMap((file) => ['-f', file]);
  const { code, stdout, stderr } = await server.kubectl([...verb, ...where, ...files]);
  return { code, done: stdout.split('\n').filter((line) => line !== ''), stderr };
}

function judge(tally: Tally, bundle: Bundle, title: string, problem: string | undefined): void {
  const verdict =
    problem === undefined ? ({ kind: 'passed' } as const) : ({ kind: 'failed', why: problem } as const);
  tally.add(bundle.name, title, verdict);
  if (problem === undefined) tally.note('', `${bundle.name}: ${title} of ${bundle.objects.length} objects`);
}

/** Why not every object was brought, or a warning came; undefined if all is as it should be. */
function bringProblem({ objects }: Bundle, { code, done, stderr }: Said): string | undefined {
  if (code === 0 && stderr === '' && done.length === objects.length) return undefined;
  return `exit code ${code}, ${done.length} of ${objects.length} objects\n${stderr}`;
}

export const createBundle: Bring = async (server, bundle, tally) => {
  judge(tally, bundle, 'create', bringProblem(bundle, await bring(server, bundle, ['create'])));
  await untilEstablished(server, bundle);
};

export const applyBundle: Bring = async (server, bundle, tally) => {
  const verb = ['apply', '--server-side'];
  judge(tally, bundle, verb.join(' '), bringProblem(bundle, await bring(server, bundle, verb)));
  await untilEstablished(server, bundle);
};

/** Applied once more nothing changes; but a policy that came with it may refuse its definitions, as that of the Gateway API does those of no release. */
export const applyBundleAgain: Bring = async (server, bundle, tally) => {
  const hasPolicy = bundle.objects.some(({ kind }) => kind === 'ValidatingAdmissionPolicy');
  const definitions = bundle.objects.filter(({ kind }) => kind === 'CustomResourceDefinition').length;
  const refusals = ({ stderr }: Said): number =>
    stderr.split('Installing CRDs with version before').length - 1;
  const again = (): Promise<Said> => bring(server, bundle, ['apply', '--server-side']);
  // A policy is in force some moments after it came.
  const said = hasPolicy
    ? await eventually('the policy refuses', async () => {
        const each = await again();
        return refusals(each) === definitions && each;
      })
    : await again();
  const problem = hasPolicy
    ? said.done.length === bundle.objects.length - definitions
      ? undefined
      : `${said.done.join(', ')}\n${said.stderr}`
    : bringProblem(bundle, said);
  judge(tally, bundle, hasPolicy ? 'another apply, refused by the policy,' : 'another apply', problem);
};

/** All goes, and nobody serves its kinds any more. */
export const deleteBundle: Bring = async (server, bundle, tally) => {
  const said = await bring(server, bundle, ['delete']);
  // kubectl warns of objects that a namespace on its command line is not about.
  const stderr = said.stderr.replace(/^Warning: deleting cluster-scoped resources.*\n+/, '');
  judge(tally, bundle, 'delete', bringProblem(bundle, { ...said, stderr }));
  for (const kind of bundle.kinds)
    await eventually(
      `${kind.plural} are not served`,
      async () => (await server.ask('GET', pathOf(kind))).status === 404,
    );
};

/** What a client-side apply cannot do: to write down in an annotation what is larger than annotations may be. */
export const applyByClient: Bring = async (server, bundle, tally) => {
  const said = await bring(server, bundle, ['apply']);
  const large = bundle.objects.filter((object) => JSON.stringify(object).length > annotationBytesMax).length;
  const refused =
    said.stderr.split(`metadata.annotations: Too long: may not be more than ${annotationBytesMax} bytes`)
      .length - 1;
  const isRight = refused === large && said.done.length === bundle.objects.length - large;
  judge(
    tally,
    bundle,
    `client-side apply, refused for ${large}`,
    isRight ? undefined : `${refused} refused, ${said.done.length} brought\n${said.stderr}`,
  );
};

async function untilEstablished(server: BareServer, { kinds }: Bundle): Promise<void> {
  for (const definition of new Set(kinds.map(({ definition }) => definition)))
    await eventually(`${definition} is Established`, async () => isEstablished(server, definition));
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
