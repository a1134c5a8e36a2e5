import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { quantityToMilli, tryParseQuantity } from '#api/meta/quantity.ts';
import { at, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import type { PodSample } from './pod-groups.ts';
import type { Reading } from './propose.ts';

/*
 * Answers of the three APIs of metrics: metrics.k8s.io/v1beta1, custom.metrics.k8s.io/v1beta1 and v1beta2, external.metrics.k8s.io/v1beta1.
 */

/** As the clients of Kubernetes call them. */
export type MetricsApi = 'resource' | 'custom' | 'external';

/** Where an API does not say over which time it measured. */
const windowMsDefault = 60_000;

/** What was asked for, or why it was not to be had. */
export type Items = readonly JsonObject[] | string;

/** Of an answer over HTTP. `asked` is what was asked for, as it is told where the answer itself does not say. */
export function itemsOf(
  { status, body }: { readonly status: number; readonly body: string },
  api: MetricsApi,
  asked: string,
): Items {
  const answer = parsed(body);
  const unable = `unable to fetch metrics from ${api} metrics API: `;
  if (status !== 200) return `${unable}${refusalText(status, answer, asked)}`;
  if (answer === undefined) return `${unable}an answer that is no JSON`;
  const items = objectsOf(answer['items']);
  return items.length === 0 ? `no metrics returned from ${api} metrics API` : items;
}

/** What pods, or the container of each, use of a resource. A pod of which a container says nothing is left out. */
export function samplesOfPods(
  items: Items,
  { resource, container }: { readonly resource: string; readonly container: string | undefined },
): Reading {
  if (typeof items === 'string') return { kind: 'failure', text: items };
  const samples = new Map<string, PodSample>();
  for (const item of items) {
    const [name, namespace] = [stringOf(at(item, 'metadata.name')), stringOf(at(item, 'metadata.namespace'))];
    const counted = objectsOf(item['containers']).filter(
      (one) => container === undefined || one['name'] === container,
    );
    if (counted.length === 0 && container !== undefined) {
      const text = `container ${container} not present in metrics for pod ${namespace}/${name}`;
      return { kind: 'failure', text: `failed to get container metrics: ${text}` };
    }
    const used = counted.map((one) => milliOf(at(one, ['usage', resource])));
    const milli = used.reduce((a, b) => (a === undefined || b === undefined ? undefined : a + b), 0);
    if (milli !== undefined && counted.length > 0) samples.set(name, { milli, ...timesOf(item) });
  }
  return { kind: 'pods', samples };
}

/** What objects that are pods have of a custom metric. */
export function samplesOfObjects(items: Items): Reading {
  if (typeof items === 'string') return { kind: 'failure', text: items };
  const samples = new Map<string, PodSample>();
  for (const item of items) {
    const milli = milliOf(item['value']);
    if (milli !== undefined)
      samples.set(stringOf(at(item, 'describedObject.name')), { milli, ...timesOf(item) });
  }
  return { kind: 'pods', samples };
}

/** What one object has of a custom metric. */
export function totalOfOne(items: Items): Reading {
  if (typeof items === 'string') return { kind: 'failure', text: items };
  const [first] = items;
  if (items.length !== 1 || first === undefined) {
    const text = `the custom metrics API server returned ${items.length} results when we asked for exactly one`;
    return { kind: 'failure', text: `unable to fetch metrics from custom metrics API: ${text}` };
  }
  return { kind: 'total', milli: milliOf(first['value']) ?? 0 };
}

/** All series of an external metric together. */
export function totalOfAll(items: Items): Reading {
  if (typeof items === 'string') return { kind: 'failure', text: items };
  return { kind: 'total', milli: items.reduce((sum, item) => sum + (milliOf(item['value']) ?? 0), 0) };
}

function timesOf(item: JsonObject): Pick<PodSample, 'atMs' | 'windowMs'> {
  const { timestamp, window, windowSeconds } = item;
  // v1beta1 of custom metrics calls its seconds window, v1beta2 windowSeconds; those of resources are a duration.
  const seconds = typeof window === 'number' ? window : windowSeconds;
  const ms = typeof seconds === 'number' ? seconds * 1000 : durationMs(window);
  const atMs = Date.parse(stringOf(timestamp));
  return { atMs: Number.isNaN(atMs) ? 0 : atMs, windowMs: ms ?? windowMsDefault };
}

function durationMs(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    return parseDurationMs(text);
  } catch {
    return undefined; // Whatever an aggregated server says: then it did not say.
  }
}

function milliOf(value: unknown): number | undefined {
  const amount = tryParseQuantity(value);
  return amount === undefined ? undefined : quantityToMilli(amount);
}

/** In the words of client-go, where the answer has none of its own. */
function refusalText(status: number, answer: JsonObject | undefined, asked: string): string {
  const message = answer?.['kind'] === 'Status' ? stringOf(answer['message']) : '';
  if (message !== '' && message !== notFoundText) return message;
  const said = status === 404 ? notFoundText : status === 503 ? unavailableText : '';
  return said === ''
    ? `the server responded with the status code ${status} but did not return more information (get ${asked})`
    : `${said} (get ${asked})`;
}

const notFoundText = 'the server could not find the requested resource';
const unavailableText = 'the server is currently unable to handle the request';

function parsed(body: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
