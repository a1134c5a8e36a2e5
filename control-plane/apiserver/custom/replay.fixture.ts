import { readFileSync } from 'node:fs';
import { objectOf } from '#api/wire/json.ts';
import {
  patchTypes,
  readAnswer,
  type ObservedStep,
} from '#control-plane/apiserver/observed/observed-step.fixture.ts';

/*
 * What a kube-apiserver 1.36.2 was asked and answered (observed-1.36.2.txt, whose head says how it is written), as steps to ask again.
 */

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
  const told = readAnswer(lines, index + 1);
  if (told === undefined) return undefined;
  return {
    ...{ line: index + 1, label, method, path, body: body?.replaceAll('⏎', '\n') },
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(type === undefined ? {} : { 'content-type': patchTypes[type] ?? type }),
    },
    ...{ ...told, answer: told.answer.replaceAll('⏎', '\n') },
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
