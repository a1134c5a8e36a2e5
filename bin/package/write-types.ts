import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { at, isObject, typed } from '#api/wire/json.ts';
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
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
  const values = splitDocuments(manifest).flatMap((document, index): readonly unknown[] => {
    try {
      return objectsOfDocument(document).map(({ value }) => value);
    } catch (error) {
      // Not as a cause: what the YAML parser says takes several lines.
      const why = isPodwrightError(error) ? error.message : describeError(error);
      throw new PodwrightError('E_INVALID', `read ${source}, document ${index + 1}: ${why}`);
    }
  });
  const definitions = values.filter(isObject).filter(isDefinition);
  if (definitions.length > 0) return definitions.map((value) => typed<CustomResourceDefinition>(value));
  throw new PodwrightError('E_INVALID', `read ${source}: there is no CustomResourceDefinition in it`);
}

function isDefinition(value: object): boolean {
  return (
    at(value, 'kind') === 'CustomResourceDefinition' &&
    String(at(value, 'apiVersion')).startsWith('apiextensions.k8s.io/')
  );
}
