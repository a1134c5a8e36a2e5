import type { Node, Pod, Service } from '#api/generated/objects.ts';
import { internalIpsOf } from '#agent/network/fabric/fabric-plan.ts';
import { familyOfIp } from '#base/ip.ts';
import { findPodFault } from '#bin/trace/find-pod-fault.ts';
import { hop, nameOf, stop, warn, type Hop, type Observed, type Question } from '#bin/trace/observed.ts';
import { addressFor, addressesOf } from '#bin/trace/party.ts';
import { endsAt, type Course } from './course.ts';
import { toService } from './to-service.ts';

/** A node port, a hostPort, or a program of the node. */
export function toNode(node: Node | undefined, question: Question, seen: Observed): Course {
  const { to, port, protocol } = question;
  const own = node === undefined ? [] : internalIpsOf(node);
  const ip = familyOfIp(to) === undefined ? addressFor(question.from, own) : to;
  if (node === undefined || ip === undefined)
    return endsAt(
      hop(to, 'node', stop('name-unknown', `there is no ${to} with an address`, 'kubectl get nodes -o wide')),
    );
  const number = Number(port);
  const name = node.metadata?.name ?? '';
  const service = seen.services.find(({ spec }) => spec?.ports?.some((one) => one.nodePort === number));
  const hosted = seen.pods.filter(
    (pod) => hostPortOf(pod, question) !== undefined && [name, undefined].includes(pod.spec?.nodeName),
  );
  const conflict = conflictHop(name, question, { service, hosted });
  if (conflict !== undefined) return endsAt(conflict);
  if (service !== undefined)
    return {
      ...toService(service, { address: undefined, as: 'nodePort', node: name }, question, seen),
      entry: name,
    };
  const [pod] = hosted;
  const address = addressesOf(pod ?? {}).find((each) => familyOfIp(each) === familyOfIp(ip));
  if (pod !== undefined && address !== undefined)
    return {
      hops: [hop(`node ${name}`, `hostPort ${port ?? ''} of pod ${nameOf(pod)}`)],
      destinations: [{ ip: address, port: hostPortOf(pod, question) ?? number, nodeName: name }],
      entry: name,
    };
  if (number >= 30_000 && number <= 32_767)
    return endsAt(
      hop(
        `node ${name}`,
        `port ${port ?? ''}/${protocol}`,
        stop('not-a-node-port', `no Service has the node port ${port ?? ''}`, 'kubectl get services -A'),
      ),
    );
  return { hops: [], destinations: [{ ip, port: number, nodeName: name }], entry: name };
}

/** The container's port behind the host's. */
function hostPortOf(pod: Pod, { port, protocol }: Question): number | undefined {
  const ports = (pod.spec?.containers ?? []).flatMap((one) => one.ports ?? []);
  return ports.find(
    (one) =>
      one.hostPort !== undefined && String(one.hostPort) === port && (one.protocol ?? 'TCP') === protocol,
  )?.containerPort;
}

function conflictHop(
  name: string,
  { port = '' }: Question,
  { service, hosted }: { readonly service: Service | undefined; readonly hosted: readonly Pod[] },
): Hop | undefined {
  const at = `node ${name}`;
  const [first, second] = hosted;
  if (first !== undefined && service !== undefined) {
    const says = `port ${port} of node ${name} is a node port of Service ${nameOf(service)} and the hostPort of pod ${nameOf(first)}`;
    return hop(
      at,
      `port ${port}`,
      warn('host-port-conflict', says, 'take another hostPort, out of 30000-32767'),
    );
  }
  if (first === undefined || hosted.every((pod) => addressesOf(pod).length > 0)) return undefined;
  const fault = findPodFault(hosted.find((pod) => addressesOf(pod).length === 0) ?? first);
  if (second === undefined && fault !== undefined) return hop(at, `port ${port}`, fault);
  return undefined;
}
