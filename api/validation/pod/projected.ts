import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { missingErrors } from '#api/validation/field.ts';
import { filePathErrors, modeErrors } from './paths.ts';
import type { SourceRule } from './volume-sources.ts';

/** The rules of single files. */
export interface FileRules {
  readonly keyToPathErrors: SourceRule;
  readonly podFileErrors: SourceRule;
}

/** A projected volume, and the paths that are taken in it so far. */
interface Projection {
  readonly path: string;
  readonly taken: Set<string>;
  readonly rules: FileRules;
}

type Check = (source: JsonObject, path: string, projection: Projection) => readonly FieldError[];

const kinds: readonly (readonly [string, Check])[] = [
  ['secret', keyErrors],
  ['configMap', keyErrors],
  ['downwardAPI', podErrors],
  ['serviceAccountToken', tokenErrors],
  ['clusterTrustBundle', bundleErrors],
];

/** Complaints about files from several sources in one directory (validateProjectedVolumeSource). */
export function projectedErrors(source: JsonObject, path: string, rules: FileRules): readonly FieldError[] {
  const projection: Projection = { path, taken: new Set(), rules };
  return [
    ...modeErrors(source['defaultMode'], `${path}.defaultMode`),
    ...objectsOf(source['sources']).flatMap((one, index) => {
      const place = `${path}.sources[${index}]`;
      const given = [...kinds.map(([kind]) => kind), 'podCertificate'].filter((kind) => isObject(one[kind]));
      const many = 'may not specify more than 1 volume type per source';
      return [
        ...kinds.flatMap(([kind, check]) => {
          const value = one[kind];
          return isObject(value) ? check(value, `${place}.${kind}`, projection) : [];
        }),
        ...(given.length > 1 ? [forbiddenField(place, many)] : []),
      ];
    }),
  ];
}

/** A path that another source has; the value is the object that it comes from, or else the path. */
function conflictErrors(file: string, value: string, { path, taken }: Projection): readonly FieldError[] {
  if (file === '') return [];
  if (taken.has(file)) return [invalidField(path, value, 'conflicting duplicate paths')];
  taken.add(file);
  return [];
}

function keyErrors(source: JsonObject, path: string, projection: Projection): readonly FieldError[] {
  const name = stringOf(source['name']);
  return [
    ...missingErrors(source, ['name'], path),
    ...objectsOf(source['items']).flatMap((item, index) => [
      ...projection.rules.keyToPathErrors(item, `${path}.items[${index}]`),
      ...conflictErrors(stringOf(item['path']), name, projection),
    ]),
  ];
}

function podErrors(source: JsonObject, path: string, projection: Projection): readonly FieldError[] {
  return objectsOf(source['items']).flatMap((item) => {
    const file = stringOf(item['path']);
    return [...projection.rules.podFileErrors(item, path), ...conflictErrors(file, file, projection)];
  });
}

const secondsMin = 600;
const secondsMax = 2 ** 32;

/** As of a TokenRequest. That of its path is said of the volume; it is not among those that may conflict, as upstream has it. */
function tokenErrors(source: JsonObject, path: string, projection: Projection): readonly FieldError[] {
  const [seconds, file] = [numberOf(source['expirationSeconds']), stringOf(source['path'])];
  const wrong = (detail: string): FieldError => invalidField(`${path}.expirationSeconds`, seconds, detail);
  const place = `${projection.path}.path`;
  return [
    ...(seconds < secondsMin ? [wrong('may not specify a duration less than 10 minutes')] : []),
    ...(seconds > secondsMax ? [wrong('may not specify a duration larger than 2^32 seconds')] : []),
    ...(file === '' ? [requiredField(place)] : filePathErrors(file, place)),
  ];
}

/** Nodes have none (docs/kinds.md); its path must be one nevertheless. */
function bundleErrors(source: JsonObject, path: string, projection: Projection): readonly FieldError[] {
  const file = stringOf(source['path']);
  return [
    ...missingErrors(source, ['path'], path),
    ...filePathErrors(file, `${path}.path`),
    ...conflictErrors(file, file, projection),
  ];
}
