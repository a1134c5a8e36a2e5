import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Cloud, CloudSetup, CreateCloud } from '#control-plane/cloud/cloud.ts';

const configBytesMax = 1024 * 1024;
/** A module that asks its cloud who it is may take a while. */
const parts = ['instances', 'loadBalancers', 'routes'] as const;
const functionsOf = {
  instances: ['find'],
  loadBalancers: ['find', 'ensure', 'update', 'delete'],
  routes: ['list', 'create', 'delete'],
} as const;

/** @throws {E_INVALID} when a file cannot be read, the module exports no `createCloud`, or what that makes is no Cloud */
export async function loadCloud(
  file: string,
  configFile: string | undefined,
  setup: Omit<CloudSetup, 'config'>,
): Promise<Cloud> {
  const config = configFile === undefined ? undefined : readConfig(resolve(configFile));
  const path = resolve(file);
  const what = statSync(path, { throwIfNoEntry: false });
  if (what === undefined || what.isDirectory()) {
    const why = what === undefined ? 'no such file' : 'it is a directory';
    throw new PodwrightError('E_INVALID', `load cloud ${path}: ${why}; --cloud-provider names a module`);
  }
  try {
    const module = (await import(pathToFileURL(path).href)) as { readonly createCloud?: unknown };
    if (typeof module.createCloud !== 'function')
      throw new PodwrightError('E_INVALID', 'it exports no function createCloud');
    const cloud = await (module.createCloud as CreateCloud)({ ...setup, config });
    const fault = cloudFault(cloud);
    if (fault !== undefined) throw new PodwrightError('E_INVALID', `what createCloud gives ${fault}`);
    return cloud;
  } catch (error) {
    throw new PodwrightError('E_INVALID', `load cloud ${path}: ${describeError(error)}`, { cause: error });
  }
}

function readConfig(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length <= configBytesMax) return text;
  } catch (error) {
    throw new PodwrightError('E_INVALID', `read --cloud-config ${path}: ${describeError(error)}`);
  }
  throw new PodwrightError('E_INVALID', `read --cloud-config ${path}: more than ${configBytesMax} bytes`);
}

/** What is wrong with it, as the end of a sentence. Pure. */
export function cloudFault(made: unknown): string | undefined {
  if (typeof made !== 'object' || made === null) return 'is no object';
  const cloud = made as Readonly<Record<string, unknown>>;
  if (typeof cloud['name'] !== 'string' || cloud['name'] === '') return 'has no name';
  const there = parts.filter((part) => cloud[part] !== undefined);
  if (there.length === 0) return `has none of ${parts.join(', ')}`;
  for (const part of there) {
    const own = cloud[part];
    const missing = functionsOf[part].find(
      (name) =>
        typeof own !== 'object' ||
        own === null ||
        typeof (own as Readonly<Record<string, unknown>>)[name] !== 'function',
    );
    if (missing !== undefined) return `has no function ${part}.${missing}`;
  }
  return undefined;
}
