import type { Pod } from '#api/generated/objects.ts';
import { familyOfIp } from '#base/ip.ts';
import { findPodFault } from '#bin/trace/find-pod-fault.ts';
import { hop, nameOf, stop, type Question } from '#bin/trace/observed.ts';
import { addressFor, addressesOf, familyMismatch } from '#bin/trace/party.ts';
import { endsAt, type Course } from './course.ts';

export function toPod(pod: Pod | undefined, { from, to, port, protocol }: Question): Course {
  if (pod === undefined)
    return endsAt(hop(to, 'pod', stop('name-unknown', `there is no ${to}`, 'kubectl get pods -A')));
  const at = `pod ${nameOf(pod)}`;
  const addresses = addressesOf(pod);
  const ip = familyOfIp(to) === undefined ? (addressFor(from, addresses) ?? addresses[0]) : to;
  const fault = findPodFault(pod);
  if (ip === undefined || fault?.code === 'pod-not-running' || fault?.code === 'host-port-conflict')
    return endsAt(
      hop(
        at,
        'has no address',
        fault ?? stop('pod-not-running', `${at} has no address yet`, 'wait until it runs'),
      ),
    );
  if (addressFor(from, [ip]) === undefined) return endsAt(hop(at, ip, familyMismatch(from, at, [ip])));
  const ports = (pod.spec?.containers ?? []).flatMap((one) => one.ports ?? []);
  const named = ports.find((one) =>
    port === undefined ? (one.protocol ?? 'TCP') === protocol : one.name === port,
  )?.containerPort;
  const number = named ?? Number(port);
  if (!Number.isInteger(number))
    return endsAt(
      hop(
        at,
        'port',
        stop(
          'named-port-missing',
          `${at} has no port ${port ?? `of ${protocol}`} in its spec`,
          'write the number: TO:PORT',
        ),
      ),
    );
  return { hops: [], destinations: [{ ip, port: number, nodeName: pod.spec?.nodeName }] };
}
