"""What programs on Python's client do, one function each: examples.py KUBECONFIG NAMESPACE MANIFESTS.

Each prints a line of JSON, in the words of test/vm/report.ts. The package is Debian's python3-kubernetes; KUBECONFIG has a namespace that
is there already.
"""
import http.client
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
import traceback

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import NotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.stream import portforward, stream

KUBECONFIG, NAMESPACE, MANIFESTS = sys.argv[1:4]
IMAGE = 'podwright/demo:1'
DEADLINE_SECONDS = 90

logging.disable()
config.load_kube_config(KUBECONFIG)
core = client.CoreV1Api()
apps = client.AppsV1Api()
batch = client.BatchV1Api()


def eventually(what, probe):
    """Polls until the probe gives something; the deadline is generous."""
    give_up = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < give_up:
        found = probe()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f'{what}: not within {DEADLINE_SECONDS} s')


def must_fail(status, call):
    """The error that the call ends in; it has to have this status."""
    try:
        call()
    except ApiException as error:
        assert error.status == status, f'status {error.status}, not {status}: {error.body}'
        return json.loads(error.body)
    raise AssertionError(f'no error of status {status}')


def pod(name, *command, restart='Never'):
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={'app': name}),
        spec=client.V1PodSpec(
            restart_policy=restart,
            termination_grace_period_seconds=1,
            containers=[client.V1Container(name='main', image=IMAGE, command=list(command) or None)],
        ),
    )


def run_pod(name, *command, restart='Never', phases=('Running', 'Succeeded')):
    core.create_namespaced_pod(NAMESPACE, pod(name, *command, restart=restart))
    return eventually(name, lambda: core.read_namespaced_pod(name, NAMESPACE).status.phase in phases)


def deployment(name, replicas=2):
    return client.V1Deployment(
        api_version='apps/v1',
        kind='Deployment',
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            selector=client.V1LabelSelector(match_labels={'app': name}),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels={'app': name}),
                spec=client.V1PodSpec(containers=[client.V1Container(
                    name=name, image=IMAGE, ports=[client.V1ContainerPort(container_port=8080)])]),
            ),
        ),
    )


def lists_pods_of_all_namespaces():
    pods = core.list_pod_for_all_namespaces(watch=False)
    assert all(item.metadata.name for item in pods.items) and pods.metadata.resource_version


def creates_reads_replaces_patches_and_deletes_a_config_map():
    made = core.create_namespaced_config_map(
        NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name='crud'), data={'a': '1'}))
    made.data['a'] = '2'
    assert core.replace_namespaced_config_map('crud', NAMESPACE, made).data == {'a': '2'}
    must_fail(409, lambda: core.replace_namespaced_config_map('crud', NAMESPACE, made))
    assert core.patch_namespaced_config_map('crud', NAMESPACE, {'data': {'b': '3'}}).data == {'a': '2', 'b': '3'}
    patched = core.patch_namespaced_config_map('crud', NAMESPACE, [{'op': 'remove', 'path': '/data/a'}])
    assert patched.data == {'b': '3'}, patched.data
    assert core.delete_namespaced_config_map('crud', NAMESPACE).status == 'Success'
    assert must_fail(404, lambda: core.read_namespaced_config_map('crud', NAMESPACE))['reason'] == 'NotFound'


def says_what_is_wrong():
    bad = client.V1ConfigMap(metadata=client.V1ObjectMeta(name='Bad_Name'))
    body = must_fail(422, lambda: core.create_namespaced_config_map(NAMESPACE, bad))
    assert body['details']['causes'][0]['field'] == 'metadata.name', body
    must_fail(400, lambda: core.list_namespaced_pod(NAMESPACE, field_selector='spec.nothing=1'))


def lists_in_pages():
    for index in range(5):
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name=f'page-{index}', labels={'page': 'yes'})))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector='page=yes', limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
        assert page.metadata.remaining_item_count is None or page.metadata.remaining_item_count > 0
    assert names == [f'page-{index}' for index in range(5)], names
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector='page=yes')
    assert core.list_namespaced_config_map(NAMESPACE, label_selector='page=yes').items == []


def watches():
    seen = []
    threading.Timer(1, lambda: run_pod('watched', 'true', phases=('Succeeded',))).start()
    for event in watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, label_selector='app=watched', timeout_seconds=60):
        seen.append((event['type'], event['object'].status.phase))
        if event['object'].status.phase == 'Succeeded':
            break
    assert seen[0][0] == 'ADDED' and seen[-1][1] == 'Succeeded', seen


def watches_again_from_where_it_was():
    listed = core.list_namespaced_config_map(NAMESPACE)
    core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name='since')))
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE,
                                resource_version=listed.metadata.resource_version, timeout_seconds=30):
        assert (event['type'], event['object'].metadata.name) == ('ADDED', 'since'), event
        break
    started = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=1)
    assert len(list(started)) > 0  # Ends by itself, at its time.


def executes():
    run_pod('shell', 'sleep', '3600')
    answer = stream(core.connect_get_namespaced_pod_exec, 'shell', NAMESPACE,
                    command=['/bin/sh', '-c', 'echo out; echo err >&2'],
                    stderr=True, stdin=False, stdout=True, tty=False)
    assert sorted(answer.split()) == ['err', 'out'], answer


def executes_a_session():
    session = stream(core.connect_get_namespaced_pod_exec, 'shell', NAMESPACE, command=['/bin/sh'],
                     stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
    session.write_stdin('echo one\n')
    assert session.readline_stdout(timeout=20) == 'one'
    session.write_stdin('echo two >&2\n')
    assert session.readline_stderr(timeout=20) == 'two'
    session.write_stdin('exit 3\n')
    session.run_forever(timeout=20)
    assert session.returncode == 3, session.returncode
    session.close()


def executes_in_a_terminal():
    answer = stream(core.connect_get_namespaced_pod_exec, 'shell', NAMESPACE, command=['tty'],
                    stderr=False, stdin=True, stdout=True, tty=True)
    assert '/dev/pts/' in answer, answer


def copies_a_file_by_exec():
    data = bytes(range(1, 128)).decode('latin-1') * 3000
    session = stream(core.connect_get_namespaced_pod_exec, 'shell', NAMESPACE, command=['sh', '-c', f'head -c {len(data)} >/tmp/f; wc -c </tmp/f'],
                     stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
    for start in range(0, len(data), 10000):
        session.write_stdin(data[start:start + 10000])
    session.run_forever(timeout=30)
    assert session.read_stdout().strip() == str(len(data))


def is_told_why_it_cannot_execute():
    # The client has no status for an upgrade that was refused: 0, and the text has it.
    try:
        stream(core.connect_get_namespaced_pod_exec, 'none', NAMESPACE, command=['true'], stdout=True)
    except ApiException as error:
        assert '404' in str(error), error
        return
    raise AssertionError('no error')


def attaches():
    run_pod('cat', 'sh', '-c', 'while :; do echo tick; sleep 0.2; done')
    session = stream(core.connect_get_namespaced_pod_attach, 'cat', NAMESPACE, stdout=True, stderr=False, stdin=False,
                     tty=False, _preload_content=False)
    assert session.readline_stdout(timeout=20) == 'tick'
    session.close()


def reads_logs():
    run_pod('lines', 'sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done')
    # A response that is not read at once is a stream.
    followed = core.read_namespaced_pod_log('lines', NAMESPACE, follow=True, _preload_content=False)
    assert followed.read().decode() == ''.join(f'line {i}\n' for i in range(1, 6))
    assert core.read_namespaced_pod_log('lines', NAMESPACE, tail_lines=2) == 'line 4\nline 5\n'
    assert core.read_namespaced_pod_log('lines', NAMESPACE, limit_bytes=4) == 'line'
    stamped = core.read_namespaced_pod_log('lines', NAMESPACE, timestamps=True, since_seconds=3600)
    assert stamped.split(' ')[0].endswith('Z'), stamped


def reads_logs_of_the_container_before():
    run_pod('again', 'sh', '-c', 'echo try; exit 1', restart='OnFailure')
    eventually('a second try', lambda: core.read_namespaced_pod('again', NAMESPACE).status.container_statuses[0].restart_count)
    assert core.read_namespaced_pod_log('again', NAMESPACE, previous=True) == 'try\n'
    core.delete_namespaced_pod('again', NAMESPACE)


def follows_logs_by_watch():
    lines = list(watch.Watch().stream(core.read_namespaced_pod_log, name='lines', namespace=NAMESPACE))
    assert lines == [f'line {i}' for i in range(1, 6)], lines


def creates_from_yaml():
    made = utils.create_from_yaml(client.ApiClient(), os.path.join(MANIFESTS, 'shop.yaml'), namespace=NAMESPACE)
    assert len(made) == 3
    assert apps.read_namespaced_deployment('shop', NAMESPACE).spec.replicas == 1
    try:
        utils.create_from_yaml(client.ApiClient(), os.path.join(MANIFESTS, 'shop.yaml'), namespace=NAMESPACE)
    except utils.FailToCreateError as error:
        assert 'AlreadyExists' in str(error), error
        return
    raise AssertionError('created twice')


def deploys_updates_and_restarts():
    apps.create_namespaced_deployment(NAMESPACE, deployment('web'))
    available = lambda: (lambda s: s.observed_generation and s.updated_replicas == s.replicas == s.available_replicas == 2)(
        apps.read_namespaced_deployment_status('web', NAMESPACE).status)
    eventually('web', available)
    changed = deployment('web')
    changed.spec.template.spec.containers[0].image = 'docker.io/podwright/demo:1'
    before = apps.patch_namespaced_deployment('web', NAMESPACE, changed)
    eventually('web updated', lambda: apps.read_namespaced_deployment('web', NAMESPACE).status.observed_generation >= before.metadata.generation and available())
    restarted = {'spec': {'template': {'metadata': {'annotations': {'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z'}}}}}
    after = apps.patch_namespaced_deployment('web', NAMESPACE, restarted, pretty='true')
    assert after.metadata.generation == before.metadata.generation + 1
    eventually('web restarted', lambda: apps.read_namespaced_deployment('web', NAMESPACE).status.observed_generation >= after.metadata.generation and available())
    assert len(apps.list_namespaced_replica_set(NAMESPACE, label_selector='app=web').items) == 3


def scales():
    scale = apps.read_namespaced_deployment_scale('web', NAMESPACE)
    scale.spec.replicas = 1
    assert apps.replace_namespaced_deployment_scale('web', NAMESPACE, scale).spec.replicas == 1
    assert apps.patch_namespaced_deployment_scale('web', NAMESPACE, {'spec': {'replicas': 2}}).spec.replicas == 2


def runs_a_job():
    template = client.V1PodTemplateSpec(spec=client.V1PodSpec(
        restart_policy='Never', containers=[client.V1Container(name='pi', image=IMAGE, command=['echo', '3.14'])]))
    batch.create_namespaced_job(NAMESPACE, client.V1Job(
        metadata=client.V1ObjectMeta(name='pi'), spec=client.V1JobSpec(template=template, backoff_limit=4)))
    eventually('pi', lambda: batch.read_namespaced_job_status('pi', NAMESPACE).status.succeeded)
    batch.delete_namespaced_job('pi', NAMESPACE, body=client.V1DeleteOptions(propagation_policy='Foreground', grace_period_seconds=5))
    eventually('pi gone', lambda: not core.list_namespaced_pod(NAMESPACE, label_selector='job-name=pi').items)


def works_by_the_dynamic_client():
    api = dynamic.DynamicClient(client.ApiClient())
    services = api.resources.get(api_version='v1', kind='Service')
    manifest = {'kind': 'Service', 'apiVersion': 'v1', 'metadata': {'name': 'dynamic'},
                'spec': {'selector': {'app': 'web'}, 'ports': [{'name': 'port', 'port': 80, 'targetPort': 8080}]}}
    assert services.create(body=manifest, namespace=NAMESPACE).spec.clusterIP
    manifest['spec']['ports'][0].update(name='other', port=8081)
    changed = services.patch(body=manifest, name='dynamic', namespace=NAMESPACE)
    assert 8081 in [port.port for port in changed.spec.ports], changed
    assert 'dynamic' in [item.metadata.name for item in services.get(namespace=NAMESPACE).items]
    for event in services.watch(namespace=NAMESPACE, timeout=5):
        assert event['type'] == 'ADDED'
        break
    services.delete(name='dynamic', namespace=NAMESPACE, body={})
    try:
        services.get(name='dynamic', namespace=NAMESPACE)
    except NotFoundError:
        return
    raise AssertionError('still there')


def the_dynamic_client_asks_for_tables():
    api = dynamic.DynamicClient(client.ApiClient())
    nodes = api.resources.get(api_version='v1', kind='Node')
    table = nodes.get(header_params={'Accept': 'application/json;as=Table;v=v1;g=meta.k8s.io'})
    assert table.columnDefinitions[0]['name'] == 'Name', table


def works_by_the_dynamic_client_server_side():
    api = dynamic.DynamicClient(client.ApiClient())
    maps = api.resources.get(api_version='v1', kind='ConfigMap')
    body = {'kind': 'ConfigMap', 'apiVersion': 'v1', 'metadata': {'name': 'applied'}, 'data': {'a': 'b'}}
    maps.server_side_apply(body=json.dumps(body), name='applied', namespace=NAMESPACE, field_manager='python')


def elects_a_leader():
    # The example's lock: an annotation of a ConfigMap.
    led = threading.Event()
    lock = ConfigMapLock('election', NAMESPACE, 'candidate-1')
    terms = electionconfig.Config(lock, lease_duration=17, renew_deadline=15, retry_period=1,
                                  onstarted_leading=led.set, onstopped_leading=lambda: None)
    threading.Thread(target=leaderelection.LeaderElection(terms).run, daemon=True).start()
    assert led.wait(DEADLINE_SECONDS), 'nobody leads'
    record = core.read_namespaced_config_map('election', NAMESPACE).metadata.annotations['control-plane.alpha.kubernetes.io/leader']
    assert json.loads(record)['holderIdentity'] == 'candidate-1', record


def forwards_a_port():
    name = core.list_namespaced_pod(NAMESPACE, label_selector='app=web', field_selector='status.phase=Running').items[0].metadata.name
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, name, NAMESPACE, ports='8080')
    connection = forwarded.socket(8080)
    connection.setblocking(True)
    connection.settimeout(20)
    connection.sendall(b'GET / HTTP/1.0\r\nHost: x\r\n\r\n')
    answer = b''
    while True:
        part = connection.recv(4096)
        if not part:
            break
        answer += part
    connection.close()
    assert b' 200 ' in answer.split(b'\r\n')[0] and b'web-' in answer, answer
    assert forwarded.error(8080) is None, forwarded.error(8080)


def forwards_ports_as_sockets():
    # The example's way: whoever connects to NAME.pod.NAMESPACE.kubernetes is led there.
    original = socket.create_connection

    def to_pod(address, *args, **kwargs):
        name, kind, namespace, _ = (address[0].split('.') + [''] * 3)[:4]
        if kind != 'pod':
            return original(address, *args, **kwargs)
        forwarded = portforward(core.connect_get_namespaced_pod_portforward, name, namespace, ports=str(address[1]))
        return forwarded.socket(address[1])

    name = core.list_namespaced_pod(NAMESPACE, label_selector='app=web', field_selector='status.phase=Running').items[0].metadata.name
    socket.create_connection = to_pod
    try:
        connection = http.client.HTTPConnection(f'{name}.pod.{NAMESPACE}.kubernetes', 8080)
        connection.request('GET', '/')
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        socket.create_connection = original


def lets_read(account):
    # As users do: the role that every cluster has, in this namespace.
    client.RbacAuthorizationV1Api().create_namespaced_role_binding(NAMESPACE, {
        'metadata': {'name': f'{account}-reads'},
        'roleRef': {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'ClusterRole', 'name': 'view'},
        'subjects': [{'kind': 'ServiceAccount', 'name': account, 'namespace': NAMESPACE}],
    })


def uses_a_token():
    core.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name='robot')))
    lets_read('robot')
    token = client.ApiClient().call_api(
        '/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token', 'POST', {'namespace': NAMESPACE, 'name': 'robot'},
        body={'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest', 'spec': {'expirationSeconds': 600}},
        response_type='object', auth_settings=['BearerToken'], _return_http_data_only=True)['status']['token']
    known = client.Configuration.get_default_copy()
    settings = client.Configuration()
    settings.host, settings.ssl_ca_cert = known.host, known.ssl_ca_cert
    settings.api_key = {'authorization': token}
    settings.api_key_prefix = {'authorization': 'Bearer'}
    assert client.CoreV1Api(client.ApiClient(settings)).list_namespaced_pod(NAMESPACE).items
    settings.api_key = {'authorization': 'nonsense'}
    must_fail(401, lambda: client.CoreV1Api(client.ApiClient(settings)).list_namespaced_pod(NAMESPACE))


def finds_itself_in_a_cluster():
    # What a pod has, read from a directory of ours: host and port by environment, token and certificate by files.
    from kubernetes.config.incluster_config import InClusterConfigLoader
    lets_read('default')
    token = core.api_client.call_api(
        '/api/v1/namespaces/{namespace}/serviceaccounts/default/token', 'POST', {'namespace': NAMESPACE},
        body={'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest', 'spec': {}},
        response_type='object', auth_settings=['BearerToken'], _return_http_data_only=True)['status']['token']
    known = client.Configuration.get_default_copy()
    host, port = known.host.removeprefix('https://').split(':')
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'token')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(token)
        settings = client.Configuration()
        InClusterConfigLoader(path, known.ssl_ca_cert, environ={'KUBERNETES_SERVICE_HOST': host, 'KUBERNETES_SERVICE_PORT': port}).load_and_set(settings)
        assert client.VersionApi(client.ApiClient(settings)).get_code().major == '1'
        assert client.CoreV1Api(client.ApiClient(settings)).list_namespaced_pod(NAMESPACE).items


def makes_network_objects():
    networking = client.NetworkingV1Api()
    with open(os.path.join(MANIFESTS, 'ingress.yaml'), encoding='utf-8') as file:
        networking.create_namespaced_ingress(NAMESPACE, yaml.safe_load(file))
    assert networking.read_namespaced_ingress('python', NAMESPACE).spec.rules[0].host == 'shop.example.org'


def labels_nodes():
    for node in core.list_node().items:
        assert core.patch_node(node.metadata.name, {'metadata': {'labels': {'python': 'was-here'}}}).metadata.labels['python']
        assert core.patch_node(node.metadata.name, {'metadata': {'labels': {'python': None}}}).metadata.labels.get('python') is None


def writes_and_reads_events():
    now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    core.create_namespaced_event(NAMESPACE, client.CoreV1Event(
        metadata=client.V1ObjectMeta(generate_name='python-'), reason='Tried', message='by Python', type='Normal',
        involved_object=client.V1ObjectReference(kind='Pod', name='shell', namespace=NAMESPACE), first_timestamp=now, last_timestamp=now))
    found = core.list_namespaced_event(NAMESPACE, field_selector='reason=Tried').items
    assert found[0].message == 'by Python', found


def asks_what_the_api_has():
    versions = [(group.name, group.preferred_version.version) for group in client.ApisApi().get_api_versions().groups]
    assert ('apps', 'v1') in versions, versions
    assert 'v1' in client.CoreApi().get_api_versions().versions
    assert client.AuthorizationV1Api().create_self_subject_access_review(client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb='get', resource='pods')))).status.allowed


def evicts_a_pod():
    run_pod('evicted', 'sleep', '3600')
    core.create_namespaced_pod_eviction('evicted', NAMESPACE, client.V1Eviction(
        metadata=client.V1ObjectMeta(name='evicted'), delete_options=client.V1DeleteOptions(grace_period_seconds=0)))
    eventually('evicted', lambda: not core.list_namespaced_pod(NAMESPACE, label_selector='app=evicted').items)


def reads_through_a_proxy():
    name = core.list_namespaced_pod(NAMESPACE, label_selector='app=web', field_selector='status.phase=Running').items[0].metadata.name
    assert 'web-' in core.connect_get_namespaced_pod_proxy(f'{name}:8080', NAMESPACE)


def has_custom_objects():
    extensions = client.ApiextensionsV1Api()
    with open(os.path.join(MANIFESTS, 'crd.yaml'), encoding='utf-8') as file:
        definition = yaml.safe_load(file)
    try:
        extensions.create_custom_resource_definition(definition)
    except ApiException as error:
        assert error.status == 409, error
    custom = client.CustomObjectsApi()
    body = {'apiVersion': 'stable.example.com/v1', 'kind': 'CronTab', 'metadata': {'name': 'tab'}, 'spec': {'cronSpec': '* * * * *'}}
    give_up = time.monotonic() + 3
    while True:
        try:
            custom.create_namespaced_custom_object('stable.example.com', 'v1', NAMESPACE, 'crontabs', body)
            return
        except ApiException:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.3)


EXAMPLES = [
    lists_pods_of_all_namespaces,
    creates_reads_replaces_patches_and_deletes_a_config_map,
    says_what_is_wrong,
    lists_in_pages,
    watches,
    watches_again_from_where_it_was,
    executes,
    executes_a_session,
    executes_in_a_terminal,
    copies_a_file_by_exec,
    is_told_why_it_cannot_execute,
    attaches,
    reads_logs,
    reads_logs_of_the_container_before,
    follows_logs_by_watch,
    creates_from_yaml,
    deploys_updates_and_restarts,
    scales,
    runs_a_job,
    works_by_the_dynamic_client,
    the_dynamic_client_asks_for_tables,
    works_by_the_dynamic_client_server_side,
    elects_a_leader,
    forwards_a_port,
    forwards_ports_as_sockets,
    uses_a_token,
    finds_itself_in_a_cluster,
    makes_network_objects,
    labels_nodes,
    writes_and_reads_events,
    asks_what_the_api_has,
    evicts_a_pod,
    reads_through_a_proxy,
    has_custom_objects,
]


def report(**line):
    print(json.dumps(line), flush=True)


for example in EXAMPLES:
    start = time.monotonic()
    name = example.__name__.replace('_', ' ')
    try:
        example()
        report(kind='passed', text=name, ms=round((time.monotonic() - start) * 1000))
    except BaseException:  # An example that ends the program is one that failed.
        report(kind='failed', text=name, ms=round((time.monotonic() - start) * 1000), why=traceback.format_exc()[-700:])
report(kind='through')
os._exit(0)  # The leader goes on in its thread, until it is stopped.
