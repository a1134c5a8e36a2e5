/** A lease and whose it is, as a daemon keeps and tells it. Pure. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { asObject, field, parseJsonObject } from '#api/cni/json-field.ts';
import { parseDns, parseRoute } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isPodwrightError } from '#base/errors.ts';
import { parseCidr } from '#base/ip.ts';
import type { Lease } from './lease.ts';

export interface LeaseRequest {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly clientId: string;
  readonly parameters: readonly number[];
  /** Values in base64. */
  readonly options: readonly (readonly [code: number, value: string])[];
  /** Of its routes; the lowest is taken. */
  readonly priority?: number | undefined;
  /** It gets no gateway and no default route. */
  readonly hasNoGateway?: boolean;
}

export interface Holding {
  readonly request: LeaseRequest;
  readonly lease: Lease;
  /** Since the epoch. */
  readonly obtainedAtMs: number;
  /** The time has run out, and the address was taken from the container. */
  readonly isLost: boolean;
}

const version = 1;

export function encodeHolding(holding: Holding): string {
  return JSON.stringify({ version, ...holding });
}

/** Undefined: it is none, or damaged. */
export function decodeHolding(text: string): Holding | undefined {
  try {
    const document = parseJsonObject(text, 'lease');
    if (document['version'] !== version) return undefined;
    const obtainedAtMs = field.number(document, 'obtainedAtMs');
    if (obtainedAtMs === undefined) return undefined;
    return {
      request: parseLeaseRequest(asObject(document['request'], 'request')),
      lease: parseLease(asObject(document['lease'], 'lease')),
      obtainedAtMs,
      isLost: field.boolean(document, 'isLost') ?? false,
    };
  } catch (error) {
    if (isPodwrightError(error)) return undefined;
    throw error;
  }
}

/** @throws {E_INVALID} */
export function parseLeaseRequest(document: JsonObject): LeaseRequest {
  const text = (name: string): string => required(field.string(document, name), name);
  return {
    network: text('network'),
    containerId: text('containerId'),
    ifname: text('ifname'),
    netns: field.string(document, 'netns') ?? '',
    clientId: field.string(document, 'clientId') ?? '',
    parameters: field.array(document, 'parameters').map((code) => codeOf(code)),
    options: field.array(document, 'options').map((pair) => {
      const [code, value] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
      return [codeOf(code), required(typeof value === 'string' ? value : undefined, 'options')] as const;
    }),
    priority: field.number(document, 'priority'),
    hasNoGateway: field.boolean(document, 'hasNoGateway') ?? false,
  };
}

/** What the container gets of its lease. */
export function takenOf(
  { gateway, routes }: Pick<Lease, 'gateway' | 'routes'>,
  { priority, hasNoGateway = false }: Pick<LeaseRequest, 'priority' | 'hasNoGateway'>,
): Pick<Lease, 'gateway' | 'routes'> {
  const taken = hasNoGateway ? routes.filter(({ dst }) => !dst.endsWith('/0')) : routes;
  return {
    gateway: hasNoGateway ? undefined : gateway,
    routes: priority === undefined ? taken : taken.map((route) => ({ ...route, priority })),
  };
}

/** @throws {E_INVALID} */
export function parseLease(document: JsonObject): Lease {
  const number = (name: string): number => required(field.number(document, name), name);
  const address = field.string(document, 'address') ?? '';
  return {
    address: required(parseCidr(address) === undefined ? undefined : address, 'address'),
    gateway: field.string(document, 'gateway'),
    routes: field.objects(document, 'routes').map(parseRoute),
    dns: parseDns(field.object(document, 'dns') ?? {}),
    server: required(field.string(document, 'server'), 'server'),
    serverMac: required(field.string(document, 'serverMac'), 'serverMac'),
    renewMs: number('renewMs'),
    rebindMs: number('rebindMs'),
    expiryMs: number('expiryMs'),
  };
}

function codeOf(value: unknown): number {
  const isCode = typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 255;
  return required(isCode ? value : undefined, 'option code');
}

function required<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw cniError(cniErrorCode.decodingFailure, `parse lease: ${name} is missing or not valid`);
}
