/** Manifests as people apply them, a folder for each project: what is in their files, and which kinds they define. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadAll } from 'js-yaml';

import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import { run } from '#test/cluster/cluster.ts';
import type { JsonSchema } from './json-schema.ts';

export interface Bundle {
  readonly name: string;
  /** Its files, in order of their names. */
  readonly files: readonly string[];
  /** What its files hold, in that order. */
  readonly objects: readonly JsonObject[];
  readonly kinds: readonly CustomKind[];
}

/** A kind of a bundle's CustomResourceDefinitions, in one of its served versions. */
export interface CustomKind {
  readonly definition: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
  readonly schema: JsonSchema;
  readonly hasStatus: boolean;
  readonly hasScale: boolean;
  /** The names of its printer columns; `isWide` are those of `kubectl get -o wide` alone. */
  readonly columns: readonly { readonly name: string; readonly isWide: boolean }[];
  /** `.spec.a.b`, as `selectableFields` has it. */
  readonly selectableFields: readonly string[];
}

interface DefinitionSpec {
  readonly group: string;
  readonly scope: string;
  readonly names: { readonly kind: string; readonly plural: string };
  readonly versions: readonly {
    readonly name: string;
    readonly served: boolean;
    readonly schema: { readonly openAPIV3Schema: JsonSchema };
    readonly subresources?: { readonly status?: object; readonly scale?: object };
    readonly additionalPrinterColumns?: readonly { readonly name: string; readonly priority?: number }[];
    readonly selectableFields?: readonly { readonly jsonPath: string }[];
  }[];
}

/** Unpacks `bundles.tar.xz` of a directory into another one. */
export async function unpackBundles(directory: string, target: string): Promise<void> {
  mkdirSync(target, { recursive: true });
  const { code, stderr } = await run(['tar', '-xJf', join(directory, 'bundles.tar.xz'), '-C', target]);
  if (code !== 0) throw new Error(`unpack ${directory}/bundles.tar.xz: ${stderr}`);
}

/** The folders of a directory, each a bundle. */
export function readBundles(directory: string): readonly Bundle[] {
  return readdirSync(directory)
    .sort()
    .map((name) => {
      const files = readdirSync(join(directory, name))
        .filter((file) => file.endsWith('.yaml'))
        .sort()
        .map((file) => join(directory, name, file));
      const objects = files.flatMap((file) => loadAll(readFileSync(file, 'utf8'))).filter(isObject);
      return { name, files, objects, kinds: objects.flatMap(customKinds) };
    });
}

/** The kinds that a definition makes, one for each version that is served; none of another object. */
export function customKinds(object: JsonObject): readonly CustomKind[] {
  if (object['kind'] !== 'CustomResourceDefinition') return [];
  // A file of upstream's, whose shape is that of apiextensions/v1.
  const { group, scope, names, versions } = object['spec'] as DefinitionSpec;
  return versions
    .filter(({ served }) => served)
    .map(({ name, schema, subresources = {}, additionalPrinterColumns = [], selectableFields = [] }) => ({
      definition: `${names.plural}.${group}`,
      group,
      version: name,
      kind: names.kind,
      plural: names.plural,
      isNamespaced: scope === 'Namespaced',
      schema: schema.openAPIV3Schema,
      hasStatus: subresources.status !== undefined,
      hasScale: subresources.scale !== undefined,
      columns: additionalPrinterColumns.map((column) => ({
        name: column.name,
        isWide: (column.priority ?? 0) > 0,
      })),
      selectableFields: selectableFields.map(({ jsonPath }) => jsonPath),
    }));
}
