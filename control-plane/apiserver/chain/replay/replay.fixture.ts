import { readFileSync } from 'node:fs';
import {
  patchTypes,
  readAnswer,
  type ObservedStep,
} from '#control-plane/apiserver/observed/observed-step.fixture.ts';

/*
 * Requests of several users, and what a kube-apiserver 1.36.2 answered them (observed-1.36.2.txt), as steps to ask again. In the file:
 * "--- label"; "> METHOD path [kind of patch] {Header: value, …} (client: NAME) body"; "! Warning: …"; "< code answer". What was asked
 * in a row is a line: "label: METHOD path body -> code message", or with the end of the path alone for a creation. T1 … times, U1 … uids, … cut.
 */

/** A request, who made it, and its answer: of a line the message, or the status. */
export interface AccessStep extends ObservedStep {
  /** A name of the observer's; undefined: the administrator. */
  readonly client: string | undefined;
}

/** A section of the file, by its title. */
export interface AccessSection {
  readonly title: string;
  readonly steps: readonly AccessStep[];
}

const groups: Readonly<Record<string, string>> = {
  role: 'rbac.authorization.k8s.io',
  cluster: 'rbac.authorization.k8s.io',
  subject: 'authorization.k8s.io',
  local: 'authorization.k8s.io',
  flow: 'flowcontrol.apiserver.k8s.io',
  priority: 'flowcontrol.apiserver.k8s.io',
};

export function readSections(): readonly AccessSection[] {
  const lines = readFileSync(new URL('observed-1.36.2.txt', import.meta.url), 'utf8').split('\n');
  const sections: { readonly title: string; readonly steps: AccessStep[] }[] = [];
  let label = '';
  for (const [index, text] of lines.entries()) {
    const title = /^=+ (.*)/.exec(text)?.[1];
    if (title !== undefined) sections.push({ title, steps: [] });
    if (text.startsWith('--- ')) label = text.slice(4);
    const step = readRequest(lines, index, label) ?? readRow(text, index) ?? readReview(text, index);
    if (step !== undefined) sections.at(-1)?.steps.push(step);
  }
  return sections;
}

function readRequest(lines: readonly string[], index: number, label: string): AccessStep | undefined {
  const request =
    /^> ([A-Z]+) (\S+)(?: \[(\w+)\])?(?: \{([A-Z][^}]*)\})?(?: \(client: (\w+)\))?(?: (.*))?$/.exec(
      lines[index] ?? '',
    );
  if (request === null) return undefined;
  const [, method = '', path = '', type, given, client, body] = request;
  const told = readAnswer(lines, index + 1);
  if (told === undefined) return undefined;
  return {
    ...{ line: index + 1, label, method, path, client, body, ...told },
    headers: {
      ...(type === undefined ? {} : { 'content-type': patchTypes[type] ?? type }),
      ...(given === undefined ? {} : readHeaders(given)),
    },
  };
}

function readHeaders(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split(', ').map((one) => {
      const end = one.indexOf(': ');
      return [one.slice(0, end).toLowerCase(), one.slice(end + 2)];
    }),
  );
}

/** A creation in a line, or what says its method. */
function readRow(text: string, index: number): AccessStep | undefined {
  const row = /^(.+?): (?:([A-Z]+) )?([a-z/]+) (\{.*\}|null) -> (\d+) ?(.*)$/.exec(text);
  if (row === null) return undefined;
  const [, label = '', method = 'POST', resource = '', body = '', status = '', message = ''] = row;
  const kind = /^[a-z]+?(?=s?\/|bindings|roles|schemas|levels|access|$)/.exec(
    resource.replace(/^namespaces\/\w+\//, ''),
  );
  const group = Object.keys(groups).find((start) => (kind?.[0] ?? '').startsWith(start)) ?? '';
  const isReview = resource.endsWith('reviews');
  const place = resource.startsWith('local') ? `namespaces/acc/${resource}` : resource;
  const isDry = method === 'POST' && !isReview;
  return {
    ...{ line: index + 1, label, method, client: undefined, warnings: [], status: Number(status) },
    path: `/apis/${groups[group] ?? ''}/v1/${place}${isDry ? '?dryRun=All' : ''}`,
    headers: method === 'PATCH' ? { 'content-type': patchTypes['merge'] ?? '' } : {},
    ...(body === 'null' ? { body: undefined } : { body: isReview ? `{"spec":${body}}` : body }),
    answer: message === '' ? '' : isDry || Number(status) > 299 ? said(message) : `{"status":${message}}`,
  };
}

function said(message: string): string {
  return JSON.stringify({ message });
}

/** Who somebody is who asks as another. */
function readReview(text: string, index: number): AccessStep | undefined {
  const row = /^(\{"Impersonate-.*?\}) -> (\d+) (.*)$/.exec(text);
  if (row === null) return undefined;
  const headers: Readonly<Record<string, string>> = JSON.parse(row[1] ?? '');
  return {
    ...{ line: index + 1, label: `as ${row[1]}`, method: 'POST', client: undefined, warnings: [] },
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    ...{ body: '{}', status: Number(row[2]) },
    answer: row[3]?.startsWith('{') === true ? `{"status":{"userInfo":${row[3]}}}` : said(row[3] ?? ''),
  };
}
