import type { MetricIdentifier, MetricSpec, ObjectMetricSource } from '#api/generated/objects.ts';
import { formatLabelSelector, labelSelectorFromObject } from '#api/meta/selector.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeRefusal } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { ScaledKinds } from '#control-plane/controllers/scaled/scaled-kinds.ts';
import {
  itemsOf,
  samplesOfObjects,
  samplesOfPods,
  totalOfAll,
  totalOfOne,
  type Items,
  type MetricsApi,
} from './metric-answers.ts';
import type { Reading } from './propose.ts';

/** Whose pods are measured. */
export interface Measured {
  readonly namespace: string;
  /** Of the target's pods, as selectors are written. */
  readonly selector: string;
}

/** Asks the APIs of metrics. */
export interface MetricsReader {
  /** Never rejects: what cannot be known is a failure. */
  read(metric: MetricSpec, of: Measured): Promise<Reading>;
}

const resourceApi = '/apis/metrics.k8s.io/v1beta1';
const externalApi = '/apis/external.metrics.k8s.io/v1beta1';
const customGroup = 'custom.metrics.k8s.io';
/** How long it is known which versions of an API there are. */
const versionKnownMs = 30_000;

/** By metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io, whoever serves them. */
export function createMetricsReader(client: ApiClient, kinds: ScaledKinds, clock: Clock): MetricsReader {
  const customRoot = createCustomRoot(client, clock);
  const ask = async (api: MetricsApi, path: string, asked: string): Promise<Items> => {
    if (api !== 'custom') return itemsOf(await client.raw('GET', path), api, asked);
    const root = await customRoot();
    return root === undefined
      ? `unable to fetch metrics from custom metrics API: no custom metrics API (${customGroup}) registered`
      : itemsOf(await client.raw('GET', `${root}${path}`), api, asked);
  };
  const readOfObject = async (
    { metric, describedObject }: ObjectMetricSource,
    namespace: string,
  ): Promise<Reading> => {
    const { apiVersion = 'v1', kind, name } = describedObject;
    const place = await placeOf(kinds, { apiVersion, kind });
    if (place === undefined) {
      const text = `no matches for kind ${JSON.stringify(kind)}`;
      return { kind: 'failure', text: `unable to fetch metrics from custom metrics API: ${text}` };
    }
    const object = place === 'metrics' ? place : `${place}/${encodeURIComponent(name)}`;
    const path = `/namespaces/${namespace}/${object}/${encodeURIComponent(metric.name)}`;
    const query = queryOf({ metricLabelSelector: selectorText(metric) });
    return totalOfOne(await ask('custom', `${path}${query}`, `${place}.${customGroup} ${name}`));
  };
  const read = async (metric: MetricSpec, { namespace, selector }: Measured): Promise<Reading> => {
    const { object, external, pods, containerResource, resource } = metric;
    if (object !== undefined) return readOfObject(object, namespace);
    if (external !== undefined) {
      const { name } = external.metric;
      const query = queryOf({ labelSelector: selectorText(external.metric) });
      const path = `${externalApi}/namespaces/${namespace}/${encodeURIComponent(name)}${query}`;
      return totalOfAll(await ask('external', path, `${name}.external.metrics.k8s.io`));
    }
    if (pods !== undefined) {
      const name = encodeURIComponent(pods.metric.name);
      const query = queryOf({ labelSelector: selector, metricLabelSelector: selectorText(pods.metric) });
      const path = `/namespaces/${namespace}/pods/*/${name}${query}`;
      return samplesOfObjects(await ask('custom', path, `pods.${customGroup} *`));
    }
    const path = `${resourceApi}/namespaces/${namespace}/pods${queryOf({ labelSelector: selector })}`;
    return samplesOfPods(await ask('resource', path, 'pods.metrics.k8s.io'), {
      resource: (containerResource ?? resource)?.name ?? '',
      container: containerResource?.container,
    });
  };
  return {
    read: async (metric, of) => {
      try {
        return await read(metric, of);
      } catch (error) {
        return { kind: 'failure', text: describeRefusal(error) };
      }
    },
  };
}

/** Where custom metrics are asked for: the newest of the versions that are known here. undefined: nobody serves them. */
function createCustomRoot(client: ApiClient, clock: Clock): () => Promise<string | undefined> {
  let known: { readonly root: string; readonly untilMs: number } | undefined;
  return async () => {
    if (known !== undefined && known.untilMs > clock.monotonic()) return known.root;
    known = undefined;
    const { status, body } = await client.raw('GET', `/apis/${customGroup}`);
    if (status !== 200) return undefined;
    const served = objectsOf(at(JSON.parse(body), 'versions')).map((each) => stringOf(each['version']));
    const version = ['v1beta2', 'v1beta1'].find((one) => served.includes(one));
    if (version === undefined) return undefined;
    const root = `/apis/${customGroup}/${version}`;
    known = { root, untilMs: clock.monotonic() + versionKnownMs };
    return root;
  };
}

/** What an object's kind is called in paths of custom metrics; what is measured of the namespace itself is below `metrics`. */
async function placeOf(
  kinds: ScaledKinds,
  named: { readonly apiVersion: string; readonly kind: string },
): Promise<string | undefined> {
  if (named.kind === 'Namespace' && !named.apiVersion.includes('/')) return 'metrics';
  const found = await kinds.findInGroup(named);
  if (found === undefined) return undefined;
  const { group, resource } = found.ref;
  return group === '' ? resource : `${resource}.${group}`;
}

function selectorText({ selector }: MetricIdentifier): string {
  return selector === undefined ? '' : formatLabelSelector(labelSelectorFromObject(selector));
}

function queryOf(parameters: Readonly<Record<string, string>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given))}`;
}
