import { readFileSync } from 'node:fs';
import { at, equalJson, isObject, listOf, objectOf } from '#api/wire/json.ts';

/*
 * What a kube-apiserver 1.36.2 was asked and answered (observed-1.36.2.txt, whose head says how it is written), as steps to ask again.
 */

/** A request of the file, and what came of it. */
export interface ObservedStep {
  /** Where it is in the file. */
  readonly line: number;
  readonly label: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Texts of Warning headers. */
  readonly warnings: readonly string[];
  readonly status: number;
  /** The answer, or parts of it. */
  readonly answer: string;
}

const patchTypes: Readonly<Record<string, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
  strat: 'application/strategic-merge-patch+json',
};

/** The steps of sections of the file, in order; definitions that it only describes are posted. */
export function observedSteps(sections: readonly number[]): readonly ObservedStep[] {
  const lines = readFileSync(new URL('observed-1.36.2.txt', import.meta.url), 'utf8').split('\n');
  const steps: ObservedStep[] = [];
  let section = 0;
  let label = '';
  let kind = { plural: '', kind: '' };
  for (const [index, text] of lines.entries()) {
    section = Number(/^=+ (\d+)\./.exec(text)?.[1] ?? section);
    if (!sections.includes(section)) continue;
    if (text.startsWith('--- ')) label = text.slice(4);
    const request = readRequest(lines, index, label);
    if (request !== undefined) steps.push(request);
    const defined = /^# CRD (\w+): schema (.*)$/.exec(text);
    if (defined !== null && !(lines[index + 1] ?? '').startsWith('# (that CRD was refused')) {
      const definition = describedDefinition(defined[1] ?? '', defined[2] ?? '');
      kind = definition.names;
      steps.push(posted(index, definition.object));
    }
    const present = objectsBefore[index + 1];
    if (present !== undefined) steps.push(...present.map((object) => postedObject(index, object)));
    const schema = /^schema (ROOT )?(\{.*) -> (\d+) (.*)$/.exec(text);
    if (schema !== null) steps.push(schemaProbe(index, schema));
    const probe = /^(.+?): spec (\{.*?\}|null) -> (\d+) (.*)$/.exec(text);
    if (probe !== null) steps.push(specProbe(index, kind, probe));
  }
  return steps;
}

/** Objects that were there before a line, which the file does not tell of. */
const objectsBefore: Readonly<Record<number, readonly object[]>> = {
  423: [{ kind: 'Cel', metadata: { name: 'c1' }, spec: { imm: 'a', opt: 'locked' } }],
  514: [
    {
      kind: 'Tab',
      metadata: { name: 't1', labels: { q: '1' } },
      spec: { s: 'a', n: 3, f: 1.5, b: true, d: '2020-01-01T00:00:00Z', l: ['x', 'y'], m: { 'k.x': 'v' } },
    },
    { kind: 'Tab', metadata: { name: 't2' }, spec: { s: 'b' } },
  ],
  687: [
    { kind: 'Live', metadata: { name: 'l1' }, spec: {} },
    { kind: 'Live', metadata: { name: 'l2', finalizers: ['a/b'] }, spec: {} },
  ],
};

function postedObject(index: number, object: object): ObservedStep {
  const { kind } = object as { readonly kind: string };
  return {
    ...posted(index, { apiVersion: 'crd.example.com/v1', ...object }),
    label: 'an object',
    path: `/apis/crd.example.com/v1/namespaces/cr/${kind.toLowerCase()}s`,
  };
}

function readRequest(lines: readonly string[], index: number, label: string): ObservedStep | undefined {
  const asked = /^> ([A-Z]+) (\S+)(?: \{Accept: ([^}]*)\})?(?: \[([^\]]*)\](?= ))?(?: (.*))?$/.exec(
    lines[index] ?? '',
  );
  if (asked === null) return undefined;
  const [, method = '', path = '', accept, type, body] = asked;
  const warnings: string[] = [];
  let at = index + 1;
  for (; (lines[at] ?? '').startsWith('! '); at++) {
    const warning = /^! Warning: 299 - (".*")$/.exec(lines[at] ?? '');
    if (warning !== null) warnings.push(JSON.parse(warning[1] ?? '""'));
  }
  const told = /^< (\d+) ?(.*)$/.exec(lines[at] ?? '');
  if (told === null) return undefined;
  return {
    ...{ line: index + 1, label, method, path, warnings, body: body?.replaceAll('⏎', '\n') },
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(type === undefined ? {} : { 'content-type': patchTypes[type] ?? type }),
    },
    status: Number(told[1]),
    answer: (told[2] ?? '').replaceAll('⏎', '\n'),
  };
}

/** The first JSON value of a text, and what follows it. */
function firstJson(text: string): { readonly value: unknown; readonly rest: string } {
  for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}', end + 1)) {
    try {
      return { value: JSON.parse(text.slice(0, end + 1)), rest: text.slice(end + 1).trim() };
    } catch {
      continue;
    }
  }
  return { value: null, rest: text.replace(/^null */, '').trim() };
}

function describedDefinition(
  plural: string,
  text: string,
): { readonly object: unknown; readonly names: { readonly plural: string; readonly kind: string } } {
  const schema = text.startsWith('null') ? { value: undefined, rest: text.slice(5) } : firstJson(text);
  const more = schema.rest === '' ? {} : (firstJson(schema.rest).value as Record<string, never>);
  const { v: version = {}, versions, spec = {}, names = {} } = more;
  const singular = plural.endsWith('s') ? plural.slice(0, -1) : plural;
  const called = { plural, kind: `${singular.charAt(0).toUpperCase()}${singular.slice(1)}` };
  const one = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema.value } };
  const base = { group: 'crd.example.com', scope: 'Namespaced', names: { ...called, ...names } };
  return {
    names: called,
    object: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.crd.example.com` },
      spec: { ...base, versions: versions ?? [{ ...one, ...version }], ...spec },
    },
  };
}

function posted(index: number, object: unknown): ObservedStep {
  return {
    ...{ line: index + 1, label: 'a definition', method: 'POST', headers: {}, warnings: [], status: 201 },
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    body: JSON.stringify(object),
    answer: '',
  };
}

/** A dry run of a definition with that schema, of its spec or of all. */
function schemaProbe(
  index: number,
  [, isRoot, text = '', status = '', told = '']: readonly (string | undefined)[],
): ObservedStep {
  const { value, rest } = firstJson(text);
  const more = rest === '' ? {} : objectOf(firstJson(rest).value);
  const version = objectOf(more['v']);
  const name = /"(t\d+)s\.crd/.exec(told ?? '')?.[1] ?? `t${index}x`;
  const whole = isRoot === undefined ? { type: 'object', properties: { spec: value } } : value;
  const one = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: whole } };
  const names = { plural: `${name}s`, kind: name.toUpperCase() };
  const object = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${name}s.crd.example.com` },
    spec: { group: 'crd.example.com', scope: 'Namespaced', names, versions: [{ ...one, ...version }] },
  };
  return {
    ...posted(index, object),
    label: text.slice(0, 100),
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All',
    status: Number(status),
    answer: status === '201' ? '' : JSON.stringify({ message: (told ?? '').replaceAll('⏎', '\n') }),
  };
}

/** A dry run of an object with that spec. */
function specProbe(
  index: number,
  { plural, kind }: { readonly plural: string; readonly kind: string },
  [, label = '', spec = '', status = '', told = '']: readonly string[],
): ObservedStep {
  const [message = '', causes] = told.split('  causes ', 2);
  const name = plural === 'bigs' ? 'bx' : 'c';
  const isTold = status !== '201';
  return {
    ...{ line: index + 1, label, method: 'POST', headers: {}, warnings: [], status: Number(status) },
    path: `/apis/crd.example.com/v1/namespaces/cr/${plural}?dryRun=All`,
    body: `{"apiVersion":"crd.example.com/v1","kind":"${kind}","metadata":{"name":"${name}"},"spec":${spec}}`,
    answer: isTold
      ? JSON.stringify({
          message,
          ...(causes === undefined ? {} : { causeCount: JSON.parse(causes).length }),
        })
      : message.startsWith('{')
        ? JSON.stringify({ spec: JSON.parse(message) })
        : '',
  };
}

/**
 * What of an answer is not as it was observed; empty: all is. Revisions, times and uids differ from run to run.
 */
export function differences(
  step: ObservedStep,
  got: { readonly text: string; readonly json: unknown },
): readonly string[] {
  const { answer } = step;
  if (answer === '' || answer === '…') return [];
  let want: unknown;
  try {
    want = JSON.parse(answer);
  } catch {
    return answer.includes('…') || got.text === answer ? [] : [`text: ${got.text} instead of ${answer}`];
  }
  if (!isObject(want)) return [];
  return Object.entries(want).flatMap(([path, value]) => {
    return compare(path, value, (toldOtherwise[path] ?? valueAtPath)(got.json, path));
  });
}

/** What the file tells of an answer in other words than those of the answer. */
const toldOtherwise: Readonly<Record<string, (json: unknown, path: string) => unknown>> = {
  causeCount: (json) => listOf(valueAtPath(json, 'details.causes')).length,
  cells: (json) => listOf(valueAtPath(json, 'rows')).map((row) => valueAtPath(row, 'cells')),
  'row object keys': (json) => Object.keys(objectOf(valueAtPath(json, 'rows.0.object'))).toSorted(),
};

function valueAtPath(json: unknown, path: string): unknown {
  // The index of OpenAPI documents is told without what holds it.
  const paths = path.startsWith('apis/') ? at(json, 'paths') : undefined;
  const value = paths ?? json;
  if (isObject(value) && Object.hasOwn(value, path)) return value[path];
  return path.split('.').reduce((current: unknown, name) => {
    if (Array.isArray(current)) return current[Number(name)];
    return isObject(current) ? current[name] : undefined;
  }, value);
}

/** Members that are not compared: the last is the hash of a document whose words are ours. */
const passed: ReadonlySet<string> = new Set(['resourceVersion', 'serverRelativeURL']);
/** An age of a row, which depends on how fast the test is. */
const age = /^(\d+s|\d+y\d+d)$/;

function compare(path: string, want: unknown, got: unknown): readonly string[] {
  const last = path.slice(path.lastIndexOf('.') + 1);
  if (passed.has(last)) return [];
  if (want === '(absent)') return got === undefined ? [] : [`${path}: ${JSON.stringify(got)} is there`];
  if (typeof want === 'string' && /^[TU]\d+$/.test(want)) {
    return typeof got === 'string' ? [] : [`${path}: ${JSON.stringify(got)} instead of ${want}`];
  }
  if (typeof want === 'string' && typeof got === 'string' && age.test(want) && age.test(got)) return [];
  if (Array.isArray(want) && Array.isArray(got) && want.length === got.length) {
    return want.flatMap((item, index) => compare(`${path}.${index}`, item, got[index]));
  }
  if (isObject(want) && isObject(got)) {
    const keys = new Set([...Object.keys(want), ...Object.keys(got)]);
    return [...keys].flatMap((key) => {
      return got[key] !== undefined && want[key] === undefined && !passed.has(key)
        ? [`${path}.${key}: ${JSON.stringify(got[key])} is there`]
        : compare(`${path}.${key}`, want[key], got[key]);
    });
  }
  return equalJson(want, got) ? [] : [`${path}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`];
}
