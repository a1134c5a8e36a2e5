/** Reads that kubectl of seven versions and Kubernetes' own components were recorded to ask, by what they accept and how they watch. */
import { readFileSync } from 'node:fs';

/** How an answer is followed: read once, or watched. */
export type ReadForm = 'read' | 'watch' | 'watch-bookmarks' | 'watch-list';

export interface ClientRead {
  /** The status that the client was told. */
  readonly status: number;
  readonly accept: AcceptName;
  readonly form: ReadForm;
  readonly path: string;
  /** Parameters, in clear; RV stands for a version of now. */
  readonly parameters: string;
}

/** What clients accept, as they send it. */
const accepts = {
  any: '*/*',
  json: 'application/json',
  'json-or-any': 'application/json, */*',
  'protobuf-or-any': 'application/vnd.kubernetes.protobuf, */*',
  'protobuf-or-json': 'application/vnd.kubernetes.protobuf,application/json',
  'protobuf-metadata':
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
  table:
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json',
  discovery:
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json',
  'discovery-beta':
    'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json',
  'openapi-v2': 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
} as const;
type AcceptName = keyof typeof accepts;

const forms: readonly ReadForm[] = ['watch', 'watch-bookmarks', 'watch-list'];
const watchParameters: Readonly<Record<ReadForm, string>> = {
  read: '',
  watch: 'watch=true&timeoutSeconds=1',
  'watch-bookmarks': 'watch=true&allowWatchBookmarks=true&timeoutSeconds=1',
  'watch-list':
    'watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1',
};

/** The recorded reads, in the order of the file. */
export function clientReads(): readonly ClientRead[] {
  const text = readFileSync(new URL('client-reads-1.36.txt', import.meta.url), 'utf8');
  const reads: ClientRead[] = [];
  let head: Pick<ClientRead, 'status' | 'accept' | 'form'> = { status: 200, accept: 'any', form: 'read' };
  for (const line of text.trim().split('\n')) {
    if (line.startsWith('# ')) head = parseHead(line.slice(2).split(' '));
    else {
      const at = line.includes(' ') ? line.indexOf(' ') : line.length;
      reads.push({ ...head, path: line.slice(0, at), parameters: line.slice(at + 1) });
    }
  }
  return reads;
}

/** What the client takes: of metadata alone the name of an object differs from that of a list. */
export function acceptOf({ accept, form, parameters }: ClientRead): string {
  const isList = form === 'read' && parameters !== '';
  return isList ? accepts[accept] : accepts[accept].replaceAll('MetadataList', 'Metadata');
}

/** The URL of a read of a cluster that is at this version. */
export function urlOf({ path, parameters, form }: ClientRead, version: string): string {
  const query = new URLSearchParams(parameters.replace('=RV', `=${version}`));
  for (const [name, value] of new URLSearchParams(watchParameters[form])) query.set(name, value);
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

function parseHead(words: readonly string[]): Pick<ClientRead, 'status' | 'accept' | 'form'> {
  const accept = Object.keys(accepts).find((name) => words.includes(name));
  return {
    status: words[0] === '404' ? 404 : 200,
    accept: isAcceptName(accept) ? accept : 'any',
    form: forms.find((form) => words.includes(form)) ?? 'read',
  };
}

function isAcceptName(name: string | undefined): name is AcceptName {
  return name !== undefined && name in accepts;
}

/** An answer, its bytes as latin1; of a watch as much as was read of it. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Why the client could not go on with this answer (WIRE.md, rules 2 to 7). */
export function faultOf({ status, accept, form }: ClientRead, answer: ReadAnswer): string | undefined {
  const type = answer.headers['content-type'] ?? '';
  if (answer.status !== status) return `${answer.status} ${answer.text.slice(0, 200)}`;
  if (status !== 200) return answer.text.includes('"kind":"Status"') ? undefined : 'no Status';
  if (form === 'watch-list' && !answer.text.includes('k8s.io/initial-events-end'))
    return 'no end of the list';
  const want = mustHave[accept];
  if (form === 'watch-list' || form === 'read') {
    if (want?.text !== undefined && !answer.text.includes(want.text)) return `no ${want.text}`;
  }
  return want?.type !== undefined && !type.includes(want.type) ? `of type ${type}` : undefined;
}

const mustHave: { readonly [name in AcceptName]?: { readonly type?: string; readonly text?: string } } = {
  json: { type: 'application/json' },
  table: { type: 'application/json', text: '"kind":"Table"' },
  'protobuf-metadata': { text: 'PartialObjectMetadata' },
  discovery: { type: 'g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
  'discovery-beta': { type: 'g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList' },
  'openapi-v2': { type: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' },
};
