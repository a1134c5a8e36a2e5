import type { Kind } from '#api/schema/kinds.ts';
import { formatGroupVersion } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { kindOfObjects } from './match/shown-as.ts';

type Reader = (texts: readonly string[]) => unknown;

const isTrue: Reader = ([text]) =>
  text !== undefined && !['', '0', 'false'].includes(text) ? true : undefined;
const firstText: Reader = ([text]) => (text === undefined || text === '' ? undefined : text);
const allTexts: Reader = (texts) => (texts.length === 0 ? undefined : texts);
const numbers: Reader = (texts) => {
  const found = texts
    .flatMap((text) => text.split(','))
    .map(Number)
    .filter(Number.isInteger);
  return found.length === 0 ? undefined : found;
};

const ofContainer: Readonly<Record<string, Reader>> = {
  ...{ stdin: isTrue, stdout: isTrue, stderr: isTrue, tty: isTrue, container: firstText },
};

/** What a connection is asked for with, by subresource (core/v1 PodExecOptions and its like), in the order of their fields. */
const options: Readonly<Record<string, Readonly<Record<string, Reader>>>> = {
  exec: { ...ofContainer, command: allTexts },
  attach: ofContainer,
  portforward: { ports: numbers },
  proxy: {},
};

/** The object that hooks are shown of a connection: its options, as the query gives them. */
export function connectOptions(
  { kind, subresource, rest }: { readonly kind: Kind; readonly subresource: string; readonly rest: string },
  query: URLSearchParams,
): JsonObject {
  const shown = kindOfObjects(kind, subresource);
  const fields = Object.entries(options[subresource] ?? {}).flatMap(([field, read]) => {
    const value = read(query.getAll(field));
    return value === undefined ? [] : [[field, value] as const];
  });
  return {
    kind: shown.kind,
    apiVersion: formatGroupVersion(shown),
    ...(subresource === 'proxy' && rest !== '' ? { path: rest } : {}),
    ...Object.fromEntries(fields),
  };
}
