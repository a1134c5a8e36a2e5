import type { JsonObject } from '#api/meta/object.ts';
import { goJson, stringOf } from '#api/wire/json.ts';
import { sharedPart, type VersionPart } from './version-parts.ts';

const parts: readonly (readonly [go: string, name: VersionPart])[] = [
  ['Schema', 'schema'],
  ['Subresources', 'subresources'],
  ['AdditionalPrinterColumns', 'additionalPrinterColumns'],
  ['SelectableFields', 'selectableFields'],
];

/** Versions as messages show them: kube-apiserver's own form of them, in which what all versions have alike is not theirs. */
export function goVersions(versions: readonly JsonObject[]): string {
  const own = parts.filter(([, name]) => sharedPart(versions, name) === undefined);
  const rendered = versions.map((version) => {
    const shown = {
      Name: stringOf(version['name']),
      Served: version['served'] === true,
      Storage: version['storage'] === true,
      Deprecated: version['deprecated'] === true,
      DeprecationWarning: version['deprecationWarning'] ?? null,
    };
    const rest = parts.map(([go, name]) => {
      const value = own.some(([, each]) => each === name) ? (version[name] ?? null) : null;
      return `,"${go}":${goJson(value)}`;
    });
    return `${JSON.stringify(shown).slice(0, -1)}${rest.join('')}}`;
  });
  return `[${rendered.join(',')}]`;
}
