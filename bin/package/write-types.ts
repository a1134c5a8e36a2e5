import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import { parseYaml } from '#api/wire/yaml.ts';
import { at, isObject, objectsOf, typed } from '#api/wire/json.ts';
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { renderKinds } from '#client/custom/render-kind.ts';
import { printText } from '#bin/terminal/print.ts';

/** `podwright types`: prints TypeScript types of the custom kinds that a file defines. */
export async function runTypes(filename: string, version: string | undefined): Promise<void> {
  printText(renderKinds(readDefinitions(await readManifest(filename), filename), version));
}

async function readManifest(filename: string): Promise<string> {
  if (filename === '-') return text(process.stdin);
  try {
    return await readFile(filename, 'utf8');
  } catch (cause) {
    throw new PodwrightError('E_NOT_FOUND', `read ${filename}`, { cause });
  }
}

/** The definitions in a file of YAML documents or JSON, Lists among them; what else is in it is passed over. @throws {E_INVALID} */
export function readDefinitions(manifest: string, source: string): readonly CustomResourceDefinition[] {
  const isJson = /^\s*\{/.test(manifest);
  const documents = isJson ? [manifest] : manifest.split(/^---(?:[ \t].*)?\r?$/m);
  const values = documents.flatMap((document, index): readonly unknown[] => {
    try {
      const value: unknown = isJson ? JSON.parse(document) : parseYaml(document).value;
      const items = at(value, 'items');
      return Array.isArray(items) ? objectsOf(items) : [value];
    } catch (error) {
      throw new PodwrightError('E_INVALID', `read ${source}, document ${index + 1}: ${describeError(error)}`);
    }
  });
  return values
    .filter(isObject)
    .filter(isDefinition)
    .map((value) => typed<CustomResourceDefinition>(value));
}

function isDefinition(value: object): boolean {
  return (
    at(value, 'kind') === 'CustomResourceDefinition' &&
    String(at(value, 'apiVersion')).startsWith('apiextensions.k8s.io/')
  );
}
