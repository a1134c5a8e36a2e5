/** A file of CDI, read. Pure. */
import { isAbsolute } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { hookStages, type HookStage, type OciHook } from '#api/oci/runtime/config.ts';
import { isObject } from '#api/wire/json.ts';
import { isCdiDeviceName, isCdiKind } from './cdi-name.ts';

export interface CdiSpec {
  /** `vendor.example/gpu` */
  readonly kind: string;
  /** For every container that has one of its devices. */
  readonly edits: CdiEdits;
  readonly devices: ReadonlyMap<string, CdiEdits>;
}

/** What a container gets. */
export interface CdiEdits {
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly mounts: readonly CdiMount[];
  readonly additionalGids: readonly number[];
  /** In their order; who runs them is the OCI runtime. */
  readonly hooks: readonly CdiHook[];
  /** What it asks for that containers here do not get, by its field. */
  readonly unsupported: readonly string[];
}

/** A program that an OCI runtime runs at a point of the life of a container. */
export interface CdiHook extends OciHook {
  readonly stage: HookStage;
}

/** What is left out is that of the host's. */
export interface CdiDeviceNode {
  readonly path: string;
  readonly hostPath: string;
  readonly type: string | undefined;
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly fileMode: number | undefined;
  readonly permissions: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly options: readonly string[];
  /** `bind`, or a file system of its own; undefined: bind. */
  readonly type: string | undefined;
}

/** Those that are read. */
export const cdiVersions = ['0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0'] as const;

/** Devices of a file; edits of one kind. */
export const cdiDevicesMax = 4096;
export const cdiEditsMax = 4096;

/** Fields that a version has begun with. */
const newerFields = {
  '0.4.0': ['containerEdits.mounts.type'],
  '0.5.0': ['containerEdits.deviceNodes.hostPath'],
  '0.6.0': ['annotations'],
  '0.7.0': ['containerEdits.additionalGids', 'containerEdits.intelRdt'],
  '1.1.0': ['containerEdits.netDevices'],
} as const;

/** @throws {E_INVALID} with the first thing that is wrong, by its place */
export function parseCdiSpec(document: unknown): CdiSpec {
  const spec = objectAt(document, 'the document');
  allow(spec, ['cdiVersion', 'kind', 'annotations', 'devices', 'containerEdits'], '');
  const version = textAt(spec, 'cdiVersion', '');
  const known = cdiVersions.findIndex((each) => each === version);
  if (known < 0) fail('cdiVersion', `${version} is none of ${cdiVersions.join(', ')}`);
  const kind = textAt(spec, 'kind', '');
  if (!isCdiKind(kind)) fail('kind', `"${kind}" is no VENDOR/CLASS`);
  const reader = new EditsReader(version, known);
  if (spec['annotations'] !== undefined) reader.need('annotations');
  const devices = new Map<string, CdiEdits>();
  const listed = listAt(spec, 'devices', '', cdiDevicesMax);
  if (listed.length === 0) fail('devices', 'there are none');
  for (const [index, each] of listed.entries()) {
    const place = `devices[${index}]`;
    const device = objectAt(each, place);
    allow(device, ['name', 'annotations', 'containerEdits'], place);
    if (device['annotations'] !== undefined) reader.need('annotations');
    const name = textAt(device, 'name', place);
    if (!isCdiDeviceName(name)) fail(`${place}.name`, `"${name}" is no name of a device`);
    if (/^[0-9]/.test(name) && known < cdiVersions.indexOf('0.5.0'))
      fail(`${place}.name`, `"${name}" begins with a digit, which needs version 0.5.0`);
    if (devices.has(name)) fail(`${place}.name`, `${name} is there twice`);
    devices.set(name, reader.read(device['containerEdits'], `${place}.containerEdits`));
  }
  const edits = reader.read(spec['containerEdits'] ?? {}, 'containerEdits');
  return { kind, edits, devices };
}

class EditsReader {
  readonly #version: string;
  readonly #known: number;

  constructor(version: string, known: number) {
    this.#version = version;
    this.#known = known;
  }

  need(field: string): void {
    for (const [version, fields] of Object.entries(newerFields)) {
      if (!(fields as readonly string[]).includes(field)) continue;
      const since = cdiVersions.findIndex((each) => each === version);
      if (this.#known < since) fail(field, `needs cdiVersion ${version}, and this is ${this.#version}`);
    }
  }

  read(value: unknown, place: string): CdiEdits {
    const edits = objectAt(value, place);
    allow(
      edits,
      ['env', 'deviceNodes', 'netDevices', 'hooks', 'mounts', 'intelRdt', 'additionalGids'],
      place,
    );
    for (const field of ['netDevices', 'intelRdt', 'additionalGids'])
      if (edits[field] !== undefined) this.need(`containerEdits.${field}`);
    return {
      env: listAt(edits, 'env', place).map((each, index) => envOf(each, `${place}.env[${index}]`)),
      deviceNodes: listAt(edits, 'deviceNodes', place).map((each, index) =>
        this.#deviceNode(each, `${place}.deviceNodes[${index}]`),
      ),
      mounts: listAt(edits, 'mounts', place).map((each, index) =>
        this.#mount(each, `${place}.mounts[${index}]`),
      ),
      // 0 is passed over (CDI's own library does so).
      additionalGids: listAt(edits, 'additionalGids', place)
        .map((each, index) => idOf(each, `${place}.additionalGids[${index}]`))
        .filter((gid) => gid > 0),
      hooks: listAt(edits, 'hooks', place).map((each, index) => hookOf(each, `${place}.hooks[${index}]`)),
      unsupported: ['intelRdt', 'netDevices']
        .filter((field) => edits[field] !== undefined)
        .map((field) => `containerEdits.${field}`),
    };
  }

  #deviceNode(value: unknown, place: string): CdiDeviceNode {
    const node = objectAt(value, place);
    const fields = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
    allow(node, fields, place);
    const path = pathAt(node, 'path', place);
    if (node['hostPath'] !== undefined) this.need('containerEdits.deviceNodes.hostPath');
    const type = node['type'] === undefined ? undefined : textAt(node, 'type', place);
    if (type !== undefined && !['b', 'c', 'u', 'p'].includes(type))
      fail(`${place}.type`, `${type} is none of b, c, u, p`);
    const permissions = node['permissions'] === undefined ? 'rwm' : textAt(node, 'permissions', place);
    if (!/^[rwm]{1,3}$/.test(permissions)) fail(`${place}.permissions`, `${permissions} are some of rwm`);
    const number = (field: string): number | undefined =>
      node[field] === undefined ? undefined : idOf(node[field], `${place}.${field}`);
    return {
      path,
      hostPath: node['hostPath'] === undefined ? path : pathAt(node, 'hostPath', place),
      type,
      permissions,
      major: number('major'),
      minor: number('minor'),
      fileMode: number('fileMode'),
      uid: number('uid'),
      gid: number('gid'),
    };
  }

  #mount(value: unknown, place: string): CdiMount {
    const mount = objectAt(value, place);
    allow(mount, ['hostPath', 'containerPath', 'options', 'type'], place);
    if (mount['type'] !== undefined) this.need('containerEdits.mounts.type');
    return {
      hostPath: pathAt(mount, 'hostPath', place),
      containerPath: pathAt(mount, 'containerPath', place),
      options: listAt(mount, 'options', place).map((each, index) => {
        if (typeof each === 'string') return each;
        return fail(`${place}.options[${index}]`, 'it is no text');
      }),
      type: mount['type'] === undefined ? undefined : textAt(mount, 'type', place),
    };
  }
}

function hookOf(value: unknown, place: string): CdiHook {
  const hook = objectAt(value, place);
  allow(hook, ['hookName', 'path', 'args', 'env', 'timeout'], place);
  const name = textAt(hook, 'hookName', place);
  const stage = hookStages.find((one) => one === name);
  if (stage === undefined) return fail(`${place}.hookName`, `${name} is none of ${hookStages.join(', ')}`);
  const texts = (field: string): readonly string[] =>
    listAt(hook, field, place).map((each, index) =>
      typeof each === 'string' && !each.includes('\0')
        ? each
        : fail(`${place}.${field}[${index}]`, 'it is no text'),
    );
  const { timeout } = hook;
  return {
    stage,
    path: pathAt(hook, 'path', place),
    ...(hook['args'] === undefined ? {} : { args: texts('args') }),
    ...(hook['env'] === undefined
      ? {}
      : { env: texts('env').map((each, index) => envOf(each, `${place}.env[${index}]`)) }),
    ...(timeout === undefined ? {} : { timeout: idOf(timeout, `${place}.timeout`) }),
  };
}

function fail(place: string, why: string): never {
  throw new PodwrightError('E_INVALID', `${place}: ${why}`);
}

function allow(object: JsonObject, fields: readonly string[], place: string): void {
  const other = Object.keys(object).find((field) => !fields.includes(field));
  if (other !== undefined) fail(place === '' ? other : `${place}.${other}`, 'there is no such field');
}

function objectAt(value: unknown, place: string): JsonObject {
  return isObject(value) ? value : fail(place, 'it is no object');
}

function textAt(object: JsonObject, field: string, place: string): string {
  const value = object[field];
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  return fail(place === '' ? field : `${place}.${field}`, 'a text is wanted');
}

function pathAt(object: JsonObject, field: string, place: string): string {
  const path = textAt(object, field, place);
  if (isAbsolute(path) && !path.split('/').includes('..')) return path;
  return fail(`${place}.${field}`, `"${path}" is no absolute path without ..`);
}

function listAt(object: JsonObject, field: string, place: string, most = cdiEditsMax): readonly unknown[] {
  const value = object[field] ?? [];
  const at = place === '' ? field : `${place}.${field}`;
  if (!Array.isArray(value)) return fail(at, 'a list is wanted');
  return value.length <= most ? value : fail(at, `${value.length} entries, at most ${most}`);
}

function envOf(value: unknown, place: string): string {
  if (typeof value === 'string' && /^[^=\0]+=[^\0]*$/.test(value)) return value;
  return fail(place, 'NAME=value is wanted');
}

/** Numbers of users, groups, devices and modes: 32 bits. */
function idOf(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  return fail(place, 'a whole number from 0 on is wanted');
}
