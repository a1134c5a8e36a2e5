/** What users do with an object of a custom kind, by kubectl. */
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, numberOf, stringOf } from '#api/wire/json.ts';
import type { Tally } from '#test/clients/tally.ts';
import type { BareServer } from './bare-server.ts';
import type { JsonSchema } from './json-schema.ts';
import type { CustomKind } from './read-bundles.ts';
import { fieldText, namespace, pathOf, sampleObject, titleOf } from './sample-object.ts';
import { partOf, pathsOf, sampleValue, wrongValue } from './sample-value.ts';

const name = 'used';

interface Use {
  readonly server: BareServer;
  readonly kind: CustomKind;
  /** `httproutes.v1.gateway.networking.k8s.io` */
  readonly resource: string;
  /** The options that say the namespace. */
  readonly where: readonly string[];
}

type Step = (use: Use) => Promise<string | undefined>;

/** One after the other; each gives what is wrong. */
const steps: Readonly<Record<string, Step>> = {
  create,
  'get as a table': showTable,
  explain,
  'apply a new spec': applyUpdate,
  replace,
  'patch the status': patchStatus,
  scale,
  'select by fields': selectByFields,
  'refuse a wrong value': refuseWrongValue,
  'refuse a field that is none': refuseUnknownField,
  delete: deleteObject,
};

export async function useKind(server: BareServer, kind: CustomKind, tally: Tally): Promise<void> {
  const use = {
    server,
    kind,
    resource: `${kind.plural}.${kind.version}.${kind.group}`,
    where: kind.isNamespaced ? ['--namespace', namespace] : [],
  };
  for (const [title, step] of Object.entries(steps)) {
    const problem = await step(use);
    tally.add(
      titleOf(kind),
      title,
      problem === undefined ? { kind: 'passed' } : { kind: 'failed', why: problem },
    );
  }
}

/** What a command says; `problem` where it should have done it and did not. */
async function kubectl(
  { server, where }: Use,
  args: readonly string[],
  input?: unknown,
): Promise<{ readonly said: string; readonly isDone: boolean; readonly problem: string | undefined }> {
  const text = input === undefined ? undefined : JSON.stringify(input);
  const { code, stdout, stderr } = await server.kubectl([...args, ...where], text);
  const said = stdout + stderr;
  const isDone = code === 0;
  return {
    said,
    isDone,
    problem: isDone ? undefined : `kubectl ${args.join(' ')}: ${code}\n${said}${text ?? ''}`,
  };
}

async function create(use: Use): Promise<string | undefined> {
  return (await kubectl(use, ['create', '-f', '-'], sampleObject(use.kind, name))).problem;
}

async function showTable(use: Use): Promise<string | undefined> {
  const { columns } = use.kind;
  for (const isWide of [false, true]) {
    const { said, problem } = await kubectl(use, ['get', use.resource, ...(isWide ? ['-o', 'wide'] : [])]);
    if (problem !== undefined) return problem;
    const shown = columns
      .filter((column) => isWide || !column.isWide)
      .map((column) => column.name.toUpperCase());
    const wanted = ['NAME', ...(columns.length === 0 ? ['AGE'] : shown)].join(' ');
    const [header = '', row = ''] = said.split('\n');
    if (header.trim().replaceAll(/ +/g, ' ') !== wanted || !row.startsWith(name))
      return `columns ${wanted} are not those of\n${said}`;
  }
  return undefined;
}

async function explain(use: Use): Promise<string | undefined> {
  const { kind } = use;
  const version = ['--api-version', `${kind.group}/${kind.version}`];
  const { said, problem } = await kubectl(use, ['explain', `${kind.plural}.spec`, '--recursive', ...version]);
  if (problem !== undefined) return problem;
  const explained = [...said.matchAll(/^ +([^\s<]+)\t</gm)].map(([, field = '']) => field).sort();
  const wanted = fieldsOf(kind.schema.properties?.['spec'] ?? {}).sort();
  const missing = wanted.filter((field) => !explained.includes(field));
  return explained.length === wanted.length
    ? undefined
    : `${explained.length} fields are explained, ${wanted.length} are there; not ${missing.join(', ')}`;
}

/** The names of all fields of a schema, as often as they are there. */
function fieldsOf({
  properties = {},
  items,
  additionalProperties,
}: JsonSchema): readonly string[] & string[] {
  return [
    ...Object.entries(properties).flatMap(([field, part]) => [field, ...fieldsOf(part)]),
    ...(items === undefined ? [] : fieldsOf(items)),
    ...(typeof additionalProperties === 'object' ? fieldsOf(additionalProperties) : []),
  ];
}

async function stored({ server, kind }: Use): Promise<JsonObject> {
  const { text } = await server.ask('GET', `${pathOf(kind)}/${name}`);
  const object: unknown = JSON.parse(text);
  return isObject(object) ? object : {};
}

/** An object whose spec has one part more, or another value of one. */
async function changed(use: Use): Promise<JsonObject | undefined> {
  const { server, kind } = use;
  const before = await stored(use);
  for (const index of [0, 1])
    for (const path of pathsOf(kind.schema, 4).filter(
      ([first, second]) => first === 'spec' && second !== undefined,
    )) {
      const next = sampleObject(kind, name, { path, index });
      const { status, text } = await server.ask('PUT', `${pathOf(kind)}/${name}?dryRun=All`, {
        ...next,
        metadata: before['metadata'],
      });
      if (status === 200 && at(JSON.parse(text), 'metadata.generation') !== at(before, 'metadata.generation'))
        return next;
    }
  return undefined;
}

async function applyUpdate(use: Use): Promise<string | undefined> {
  const next = await changed(use);
  if (next === undefined) return 'no change of the spec is allowed';
  const before = numberOf(at(await stored(use), 'metadata.generation'));
  const { problem } = await kubectl(use, ['apply', '--server-side', '--force-conflicts', '-f', '-'], next);
  const after = numberOf(at(await stored(use), 'metadata.generation'));
  return problem ?? (after > before ? undefined : `generation ${before} went to ${after}`);
}

async function replace(use: Use): Promise<string | undefined> {
  const current = await stored(use);
  const labels = { 'example.com/replaced': 'true' };
  const next = { ...current, metadata: { ...(current['metadata'] as JsonObject), labels } };
  const { problem } = await kubectl(use, ['replace', '-f', '-'], next);
  const after = await stored(use);
  if (problem !== undefined) return problem;
  return stringOf(at(after, ['metadata', 'labels', 'example.com/replaced'])) === 'true' &&
    at(after, 'metadata.generation') === at(current, 'metadata.generation')
    ? undefined
    : `a label is no new generation: ${JSON.stringify(after['metadata'])}`;
}

async function patchStatus(use: Use): Promise<string | undefined> {
  const { kind } = use;
  const schema = kind.schema.properties?.['status'];
  if (!kind.hasStatus || schema === undefined) return undefined;
  const [first] = pathsOf(schema, 1).filter(([field]) => field !== undefined);
  if (first === undefined) return undefined;
  const status = sampleValue(schema, { path: first });
  const patch = JSON.stringify({ status, spec: null });
  const { problem } = await kubectl(use, [
    ...['patch', use.resource, name, '--subresource', 'status', '--type', 'merge', '--patch', patch],
  ]);
  if (problem !== undefined) return problem;
  const after = await stored(use);
  return at(after, ['status', ...first]) !== undefined && after['spec'] !== undefined
    ? undefined
    : `the status is not there, or took the spec along: ${JSON.stringify(after)}`;
}

async function scale(use: Use): Promise<string | undefined> {
  if (!use.kind.hasScale) return undefined;
  return (await kubectl(use, ['scale', `${use.resource}/${name}`, '--replicas', '3'])).problem;
}

async function selectByFields(use: Use): Promise<string | undefined> {
  const object = await stored(use);
  for (const path of use.kind.selectableFields.map((text) => text.replace(/^\./, ''))) {
    const value = stringOf(at(object, path));
    for (const [selector, isFound] of [
      [`${path}=${value}`, true],
      [`${path}=${value}-other`, false],
    ] as const) {
      const list = ['get', use.resource, '--output', 'name', '--field-selector', selector];
      const { said, problem } = await kubectl(use, list);
      if (problem !== undefined) return problem;
      if (said.includes(`/${name}`) !== isFound) return `${selector}: ${said}`;
    }
  }
  return undefined;
}

async function refuseWrongValue(use: Use): Promise<string | undefined> {
  const { kind } = use;
  const [path] = pathsOf(kind.schema, 2).filter(
    ([first, second]) =>
      first === 'spec' &&
      second !== undefined &&
      wrongValue(partOf(kind.schema, [first, second])) !== undefined,
  );
  if (path === undefined) return 'find a field that can be wrong';
  const wrong = sampleObject(kind, 'wrong', {
    path,
    leaf: wrongValue(partOf(kind.schema, path)) ?? { value: '' },
  });
  return refused(await kubectl(use, ['create', '-f', '-'], wrong), fieldText(path));
}

async function refuseUnknownField(use: Use): Promise<string | undefined> {
  const { kind } = use;
  const object = sampleObject(kind, 'wrong');
  const spec = kind.schema.properties?.['spec'] ?? {};
  if (spec['x-kubernetes-preserve-unknown-fields'] === true) return undefined;
  const wrong = { ...object, spec: { ...(object['spec'] as JsonObject), noSuchField: 1 } };
  return refused(await kubectl(use, ['create', '-f', '-'], wrong), 'unknown field "spec.noSuchField"');
}

function refused(
  { said, isDone }: { readonly said: string; readonly isDone: boolean },
  words: string,
): string | undefined {
  return !isDone && said.includes(words)
    ? undefined
    : `${isDone ? 'allowed' : 'refused'}, without ${words}: ${said}`;
}

async function deleteObject(use: Use): Promise<string | undefined> {
  const { problem } = await kubectl(use, ['delete', use.resource, name]);
  const { said } = await kubectl(use, ['get', use.resource, name]);
  return problem ?? (said.includes('NotFound') ? undefined : said);
}
