import type { MetricSpec, MetricStatus, MetricTarget, MetricValueStatus } from '#api/generated/objects.ts';
import { goSelector } from '#api/meta/go-selector.ts';
import { formatQuantity, quantityToMilli, tryParseQuantity } from '#api/meta/quantity.ts';
import type { PodSample } from './pod-groups.ts';
import {
  countByAverage,
  countByShare,
  countByUtilization,
  countByValue,
  type Count,
  type Current,
  type Surroundings,
} from './replicas.ts';

/** What an API of metrics answered. */
export type Reading =
  /** Of pods, by name. */
  | { readonly kind: 'pods'; readonly samples: ReadonlyMap<string, PodSample> }
  /** Of something else, in thousandths. */
  | { readonly kind: 'total'; readonly milli: number }
  | { readonly kind: 'failure'; readonly text: string };

/** What a metric calls for, or why nobody knows. */
export type Proposal =
  | {
      readonly kind: 'count';
      readonly replicas: number;
      /** In the words of events and conditions. */
      readonly name: string;
      readonly status: MetricStatus;
    }
  | {
      readonly kind: 'failure';
      /** Of event and condition. */
      readonly reason: string;
      readonly text: string;
      /** The same as it is told among several metrics. */
      readonly whole: string;
    };

export interface Proposing {
  readonly namespace: string;
  readonly around: Surroundings;
}

/** Pure. */
export function proposeReplicas(metric: MetricSpec, reading: Reading, given: Proposing): Proposal {
  switch (metric.type) {
    case 'Resource':
      return ofResource(metric, reading, given);
    case 'ContainerResource':
      return ofContainer(metric, reading, given);
    case 'Pods':
      return ofPods(metric, reading, given);
    case 'Object':
      return ofObject(metric, reading, given);
    case 'External':
      return ofExternal(metric, reading, given);
    default: {
      const text = `unknown metric source type ${JSON.stringify(metric.type)}`;
      return failed('InvalidMetricSourceType', text, text);
    }
  }
}

function ofResource({ resource }: MetricSpec, reading: Reading, given: Proposing): Proposal {
  const { name = '', target = noTarget } = resource ?? {};
  const count = countOfPods(reading, { name, target, container: undefined }, given);
  if (typeof count === 'string')
    return failed('FailedGetResourceMetric', count, `failed to get ${name} resource metric value: ${count}`);
  const status: MetricStatus = { type: 'Resource', resource: { name, current: currentOf(count.current) } };
  return counted(count, nameOfResource(name, target), status);
}

function ofContainer({ containerResource }: MetricSpec, reading: Reading, given: Proposing): Proposal {
  const { name = '', target = noTarget, container = '' } = containerResource ?? {};
  const count = countOfPods(reading, { name, target, container }, given);
  if (typeof count === 'string') {
    const whole = `failed to get ${name} container metric value: ${count}`;
    return failed('FailedGetContainerResourceMetric', count, whole);
  }
  const current = currentOf(count.current);
  const status = { type: 'ContainerResource', containerResource: { name, container, current } };
  return counted(count, nameOfResource(name, target), status);
}

function ofPods({ pods }: MetricSpec, reading: Reading, { around }: Proposing): Proposal {
  const { metric = { name: '' }, target = noTarget } = pods ?? {};
  const count =
    reading.kind === 'pods'
      ? countByAverage(reading.samples, { milli: milliOf(target.averageValue), isCpu: false }, around)
      : `unable to get metric ${metric.name}: ${textOf(reading)}`;
  if (typeof count === 'string')
    return failed('FailedGetPodsMetric', count, `failed to get pods metric value: ${count}`);
  const current = currentOf(count.current);
  return counted(count, `pods metric ${metric.name}`, { type: 'Pods', pods: { metric, current } });
}

function ofObject({ object }: MetricSpec, reading: Reading, { namespace, around }: Proposing): Proposal {
  const { metric = { name: '' }, target = noTarget, describedObject = { kind: '', name: '' } } = object ?? {};
  const fail = (text: string): Proposal =>
    failed('FailedGetObjectMetric', text, `failed to get object metric value: ${text}`);
  const { kind, name } = describedObject;
  const isValue = target.type === 'Value';
  if (!isValue && target.type !== 'AverageValue')
    return fail('invalid object metric source: neither a value target nor an average value target was set');
  const count = countOfTotal(reading, target, around);
  if (typeof count === 'string') {
    const text =
      reading.kind === 'total'
        ? count
        : `unable to get metric ${metric.name}: ${kind} on ${namespace} ${name}/${count}`;
    return fail(text);
  }
  const current = currentOf(count.current);
  const status = { type: 'Object', object: { metric, describedObject, current } };
  const said = isValue
    ? `${kind} metric ${metric.name}`
    : `external metric ${metric.name}(${goSelector(metric.selector)})`;
  return counted(count, said, status);
}

function ofExternal({ external }: MetricSpec, reading: Reading, { namespace, around }: Proposing): Proposal {
  const { metric = { name: '' }, target = noTarget } = external ?? {};
  const { name } = metric;
  const fail = (text: string, whole: string): Proposal =>
    failed('FailedGetExternalMetric', text, `failed to get ${name} external metric value: ${whole}`);
  const isAverage = target.averageValue !== undefined;
  if (!isAverage && target.value === undefined) {
    const text = 'invalid external metric source: neither a value target nor an average value target was set';
    return fail(text, text);
  }
  const count = countOfTotal(reading, target, around);
  const shown = goSelector(metric.selector);
  if (typeof count === 'string') {
    const text =
      reading.kind === 'total'
        ? count
        : `unable to get external metric ${namespace}/${name}/${shown}: ${count}`;
    return fail(text, isAverage ? `failed to get ${name} external metric: ${text}` : text);
  }
  const current = currentOf(count.current);
  return counted(count, `external metric ${name}(${shown})`, {
    type: 'External',
    external: { metric, current },
  });
}

const noTarget: MetricTarget = { type: '' };

function countOfPods(
  reading: Reading,
  of: { readonly name: string; readonly target: MetricTarget; readonly container: string | undefined },
  { around }: Proposing,
): Count {
  const { name, target, container } = of;
  const prefix = `failed to get ${name} utilization: `;
  if (target.averageValue === undefined && target.averageUtilization === undefined)
    return 'invalid resource metric source: neither a utilization target nor a value target was set';
  if (reading.kind !== 'pods')
    return `${prefix}unable to get metrics for resource ${name}: ${textOf(reading)}`;
  const { samples } = reading;
  const count =
    target.averageValue === undefined
      ? countByUtilization(
          samples,
          { percent: target.averageUtilization ?? 0, resource: name, container },
          around,
        )
      : countByAverage(samples, { milli: milliOf(target.averageValue), isCpu: name === 'cpu' }, around);
  return typeof count === 'string' ? `${prefix}${count}` : count;
}

function countOfTotal(reading: Reading, target: MetricTarget, around: Surroundings): Count {
  if (reading.kind !== 'total') return textOf(reading);
  return target.averageValue === undefined
    ? countByValue(reading.milli, milliOf(target.value), around)
    : countByShare(reading.milli, milliOf(target.averageValue), around);
}

/** Of what was to be read, and was not. */
function textOf(reading: Reading): string {
  return reading.kind === 'failure' ? reading.text : 'no metrics returned';
}

function counted({ replicas }: { readonly replicas: number }, name: string, status: MetricStatus): Proposal {
  return { kind: 'count', replicas, name, status };
}

function failed(reason: string, text: string, whole: string): Proposal {
  return { kind: 'failure', reason, text, whole };
}

function nameOfResource(name: string, { averageValue }: MetricTarget): string {
  return `${name} resource${averageValue === undefined ? ' utilization (percentage of request)' : ''}`;
}

function currentOf({ utilization, average, value }: Current): MetricValueStatus {
  return {
    ...(utilization === undefined ? {} : { averageUtilization: utilization }),
    ...(average === undefined ? {} : { averageValue: milliText(average) }),
    ...(value === undefined ? {} : { value: milliText(value) }),
  };
}

function milliText(milli: number): string {
  return formatQuantity({ nanos: BigInt(Math.trunc(milli)) * 1_000_000n, format: 'DecimalSI' });
}

function milliOf(text: string | undefined): number {
  const amount = tryParseQuantity(text);
  return amount === undefined ? 0 : quantityToMilli(amount);
}
