// Node's @google-cloud/pubsub unchanged, against PUBSUB_EMULATOR_HOST.
// COMPLETE=yes adds what Google's emulator does not have.
'use strict';

const assert = require('node:assert/strict');
const {randomBytes} = require('node:crypto');
const {once} = require('node:events');
const {after, describe, it} = require('node:test');
const {setTimeout: delay} = require('node:timers/promises');
const {Duration, PubSub, Subscription, v1} = require('@google-cloud/pubsub');
const {credentials} = require('@grpc/grpc-js');

const COMPLETE = process.env.COMPLETE === 'yes';
const [HOST, PORT] = process.env.PUBSUB_EMULATOR_HOST.split(':');
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PROJECT = 'node-project';

const pubsub = new PubSub({projectId: PROJECT});
after(() => pubsub.close());

const newName = () => `n-${randomBytes(6).toString('hex')}`;
const shortName = resource => resource.name.split('/').pop();

async function createTopic(options) {
  const [topic] = await pubsub.createTopic({name: newName(), ...options});
  return topic;
}

async function createBoth(options) {
  const topic = await createTopic();
  const [subscription] = await topic.createSubscription(newName(), options);
  return {topic, subscription};
}

// The messages of a subscription, as they come; `next` waits for one.
function listen(subscription, handle = message => message.ack()) {
  const seen = [];
  const waiting = [];
  const failed = new Promise((_, reject) => subscription.on('error', reject));
  failed.catch(() => {});
  subscription.on('message', message => {
    seen.push(message);
    handle(message);
    waiting.splice(0).forEach(resolve => resolve());
  });
  const until = async condition => {
    const deadline = delay(30_000, 'late', {ref: false});
    while (!condition(seen)) {
      const more = new Promise(resolve => waiting.push(resolve));
      const found = await Promise.race([more, failed, deadline]);
      assert.notEqual(found, 'late', `only ${seen.length} messages came`);
    }
    return seen;
  };
  return {seen, until, count: number => until(() => seen.length >= number)};
}

const numbers = messages => messages.map(message => Number(message.data)).sort((a, b) => a - b);
const range = count => [...Array(count).keys()];

describe('@google-cloud/pubsub', {concurrency: 6, timeout: 80_000}, () => {
  describe('topics', {concurrency: 6}, () => {
    it('are created, found, listed and deleted', async () => {
      const topic = await createTopic({labels: {team: 'x'}});
      assert.equal((await topic.exists())[0], true);
      const [metadata] = await topic.getMetadata();
      assert.equal(metadata.name, topic.name);
      assert.deepEqual({...metadata.labels}, {team: 'x'});
      const [topics] = await pubsub.getTopics();
      assert.ok(topics.some(found => found.name === topic.name));
      await topic.delete();
      assert.equal((await topic.exists())[0], false);
      await assert.rejects(topic.getMetadata(), {code: NOT_FOUND});
    });

    it('are created on demand', async () => {
      const topic = pubsub.topic(newName());
      await topic.get({autoCreate: true});
      await assert.rejects(topic.create(), {code: ALREADY_EXISTS});
    });

    it('are listed in pages and as a stream', async () => {
      const own = new PubSub({projectId: newName()});
      const names = [];
      for (const _ of range(5)) {
        names.push((await own.createTopic(newName()))[0].name);
      }
      const paged = [];
      let query = {pageSize: 2, gaxOpts: {autoPaginate: false}};
      while (query) {
        const [page, next] = await own.getTopics(query);
        assert.ok(page.length <= 2);
        paged.push(...page.map(topic => topic.name));
        query = next?.pageToken ? next : null;
      }
      const streamed = [];
      for await (const topic of own.getTopicsStream()) {
        streamed.push(topic.name);
      }
      assert.deepEqual(paged.sort(), names.sort());
      assert.deepEqual(streamed.sort(), names);
      await own.close();
    });
  });

  describe('publishing', {concurrency: 6}, () => {
    it('in batches delivers every message once, with its attributes', async () => {
      const {topic, subscription} = await createBoth();
      topic.setPublishOptions({batching: {maxMessages: 50, maxMilliseconds: 20}});
      const listening = listen(subscription);
      const ids = await Promise.all(
        range(500).map(n =>
          topic.publishMessage({data: Buffer.from(String(n)), attributes: {number: String(n)}})
        )
      );
      const seen = await listening.count(500);
      await subscription.close();
      assert.equal(new Set(ids).size, 500);
      assert.deepEqual(seen.map(message => message.id).sort(), ids.sort());
      for (const message of seen) {
        assert.deepEqual({...message.attributes}, {number: message.data.toString()});
        assert.ok(Math.abs(message.publishTime.getTime() - Date.now()) < 120_000);
      }
    });

    it('of JSON and of an empty message with attributes', async () => {
      const {topic, subscription} = await createBoth();
      const listening = listen(subscription);
      await topic.publishMessage({json: {é: [1]}});
      await listening.count(1);
      await topic.publishMessage({attributes: {a: ''}});
      await listening.count(2);
      await subscription.close();
      assert.deepEqual(JSON.parse(listening.seen[0].data), {é: [1]});
      assert.deepEqual({...listening.seen[1].attributes}, {a: ''});
    });

    it('keeps the order of a key', async () => {
      const {topic, subscription} = await createBoth({enableMessageOrdering: true});
      topic.setPublishOptions({messageOrdering: true, batching: {maxMessages: 7}});
      const listening = listen(subscription);
      await Promise.all(
        range(50).flatMap(n =>
          ['a', 'b'].map(orderingKey =>
            topic.publishMessage({data: Buffer.from(String(n)), orderingKey})
          )
        )
      );
      const seen = await listening.count(100);
      await subscription.close();
      for (const key of ['a', 'b']) {
        const ofKey = seen.filter(message => message.orderingKey === key);
        assert.deepEqual([...new Set(ofKey.map(message => Number(message.data)))], range(50));
      }
    });

    it('of a key goes on when it is resumed after an error', async () => {
      const topic = pubsub.topic(newName(), {messageOrdering: true});
      const message = {data: Buffer.from('data'), orderingKey: 'k'};
      await assert.rejects(topic.publishMessage(message), {code: NOT_FOUND});
      await topic.create();
      topic.resumePublishing('k');
      assert.match(await topic.publishMessage(message), /./);
    });

    it('with flow control lets everything through', async () => {
      const topic = await createTopic();
      topic.setPublishOptions({flowControlOptions: {maxOutstandingMessages: 10}});
      const controlled = topic.flowControlled();
      for (const n of range(100)) {
        const wait = controlled.publish({data: Buffer.from(String(n))});
        if (wait) {
          await wait;
        }
      }
      assert.equal(new Set(await controlled.all()).size, 100);
    });

    it('of large messages, up to 9 MB', async () => {
      const {topic, subscription} = await createBoth();
      const data = randomBytes(9_000_000);
      const listening = listen(subscription);
      const id = await topic.publishMessage({data});
      await listening.count(1);
      await subscription.close();
      assert.equal(listening.seen[0].id, id);
      assert.ok(listening.seen[0].data.equals(data));
    });

    it('to a topic that does not exist fails', async () => {
      const missing = pubsub.topic(newName());
      await assert.rejects(missing.publishMessage({data: Buffer.from('x')}), {code: NOT_FOUND});
    });
  });

  describe('subscriptions', {concurrency: 6}, () => {
    it('keep their settings, and change with setMetadata', async () => {
      const dead = await createTopic();
      const {topic, subscription} = await createBoth({
        ackDeadlineSeconds: 30,
        deadLetterPolicy: {deadLetterTopic: dead.name, maxDeliveryAttempts: 7},
        enableMessageOrdering: true,
        expirationPolicy: {ttl: {seconds: 5 * 86_400}},
        filter: 'attributes.colour = "red"',
        labels: {team: 'x'},
        messageRetentionDuration: 3 * 24 * 60 * 60,
        retainAckedMessages: true,
        retryPolicy: {minimumBackoff: {seconds: 5}, maximumBackoff: {seconds: 60}},
      });
      const [found] = await subscription.getMetadata();
      assert.equal(found.topic, topic.name);
      assert.equal(found.ackDeadlineSeconds, 30);
      assert.equal(found.deadLetterPolicy.deadLetterTopic, dead.name);
      assert.equal(found.deadLetterPolicy.maxDeliveryAttempts, 7);
      assert.equal(found.enableMessageOrdering, true);
      assert.equal(Number(found.expirationPolicy.ttl.seconds), 5 * 86_400);
      assert.equal(found.filter, 'attributes.colour = "red"');
      assert.deepEqual({...found.labels}, {team: 'x'});
      assert.equal(Number(found.messageRetentionDuration.seconds), 259_200);
      assert.equal(Number(found.messageRetentionDuration.nanos), 0);
      assert.equal(found.retainAckedMessages, true);
      assert.equal(Number(found.retryPolicy.minimumBackoff.seconds), 5);

      await subscription.setMetadata({messageRetentionDuration: 4 * 24 * 60 * 60});
      await subscription.setMetadata({deadLetterPolicy: null});
      const [changed] = await subscription.getMetadata();
      assert.equal(Number(changed.messageRetentionDuration.seconds), 345_600);
      assert.equal(changed.deadLetterPolicy, null);
      assert.equal(changed.ackDeadlineSeconds, 30);
    });

    it('push, and stop pushing', async () => {
      const {subscription} = await createBoth({
        pushEndpoint: 'http://127.0.0.1:9/x',
        oidcToken: {serviceAccountEmail: 'sa@p.iam.gserviceaccount.com', audience: 'me'},
      });
      const [found] = await subscription.getMetadata();
      assert.equal(found.pushConfig.pushEndpoint, 'http://127.0.0.1:9/x');
      assert.equal(found.pushConfig.oidcToken.audience, 'me');
      await subscription.modifyPushConfig({pushEndpoint: ''});
      const [changed] = await subscription.getMetadata();
      assert.equal(changed.pushConfig?.pushEndpoint ?? '', '');
    });

    it('are listed, of a topic and of the project', async () => {
      const {topic, subscription} = await createBoth();
      const [other] = await topic.createSubscription(newName());
      const names = [subscription.name, other.name].sort();
      const [ofTopic] = await topic.getSubscriptions();
      assert.ok(ofTopic[0] instanceof Subscription);
      assert.deepEqual(ofTopic.map(found => found.name).sort(), names);
      const [all] = await pubsub.getSubscriptions();
      assert.ok(names.every(name => all.some(found => found.name === name)));
      await assert.rejects(topic.createSubscription(shortName(other)), {code: ALREADY_EXISTS});
      assert.equal((await other.exists())[0], true);
      await other.delete();
      assert.equal((await other.exists())[0], false);
      await topic.subscription(newName()).get({autoCreate: true});
    });

    it('that do not exist emit an error', async () => {
      const missing = pubsub.subscription(newName());
      missing.on('message', () => assert.fail('there is no message'));
      const [error] = await once(missing, 'error');
      await missing.close();
      assert.equal(error.code, NOT_FOUND);
    });

    it('give a refused message again', async () => {
      const {topic, subscription} = await createBoth();
      let refused;
      const listening = listen(subscription, message => {
        if (refused) {
          message.ack();
        } else {
          refused = message.id;
          message.nack();
        }
      });
      await topic.publishMessage({data: Buffer.from('data')});
      const seen = await listening.count(2);
      await subscription.close();
      assert.deepEqual(seen.map(message => message.id), [refused, refused]);
    });

    it('respect flow control', async () => {
      const {topic, subscription} = await createBoth();
      await Promise.all(range(20).map(n => topic.publishMessage({data: Buffer.from(String(n))})));
      subscription.setOptions({flowControl: {maxMessages: 3, allowExcessMessages: false}});
      let held = 0;
      let most = 0;
      const listening = listen(subscription, async message => {
        most = Math.max(most, ++held);
        await delay(5);
        held--;
        message.ack();
      });
      const seen = await listening.count(20);
      await subscription.close();
      assert.deepEqual(numbers(seen), range(20));
      assert.ok(most <= 3, `${most} messages were held`);
    });

    it('take many messages', async () => {
      const {topic, subscription} = await createBoth();
      topic.setPublishOptions({batching: {maxMessages: 999, maxMilliseconds: 50}});
      const listening = listen(subscription);
      await Promise.all(range(3000).map(n => topic.publishMessage({data: Buffer.from(String(n))})));
      const seen = await listening.until(all => new Set(all.map(m => m.id)).size === 3000);
      await subscription.close();
      assert.deepEqual([...new Set(numbers(seen))], range(3000));
    });

    it('count delivery attempts up to the dead-letter topic', async () => {
      const dead = await createBoth();
      const {topic, subscription} = await createBoth({
        deadLetterPolicy: {deadLetterTopic: dead.topic.name, maxDeliveryAttempts: 5},
      });
      const letters = listen(dead.subscription);
      const listening = listen(subscription, message => message.nack());
      await topic.publishMessage({data: Buffer.from('poison')});
      const [letter] = await letters.count(1);
      await subscription.close();
      await dead.subscription.close();
      assert.deepEqual(listening.seen.map(message => message.deliveryAttempt), [1, 2, 3, 4, 5]);
      assert.equal(letter.attributes.CloudPubSubDeadLetterSourceDeliveryCount, '5');
    });
  });

  describe('exactly-once delivery', {concurrency: 6}, () => {
    it('confirms acknowledgements and refusals', async () => {
      const {topic, subscription} = await createBoth({enableExactlyOnceDelivery: true});
      const answers = [];
      const listening = listen(subscription, async message => {
        const first = answers.length === 0;
        const answer = first ? message.nackWithResponse() : message.ackWithResponse();
        answers.push(answer);
        answer.catch(() => {});
      });
      await topic.publishMessage({data: Buffer.from('data')});
      const seen = await listening.count(2);
      assert.deepEqual(await Promise.all(answers), ['SUCCESS', 'SUCCESS']);
      assert.equal(await seen[1].ackWithResponse(), 'INVALID');
      await subscription.close();
      assert.equal(seen[0].id, seen[1].id);
    });

    it('confirms each of many', async () => {
      const {topic, subscription} = await createBoth({enableExactlyOnceDelivery: true});
      const answers = [];
      const listening = listen(subscription, message => answers.push(message.ackWithResponse()));
      await Promise.all(range(200).map(n => topic.publishMessage({data: Buffer.from(String(n))})));
      const seen = await listening.count(200);
      assert.deepEqual(new Set(await Promise.all(answers)), new Set(['SUCCESS']));
      await subscription.close();
      assert.deepEqual(numbers(seen), range(200));
    });

    it('refuses an acknowledgement id that is spent', async () => {
      const {topic, subscription} = await createBoth({enableExactlyOnceDelivery: true});
      const client = directSubscriber();
      await topic.publishMessage({data: Buffer.from('data')});
      const [{receivedMessages}] = await client.pull({
        subscription: subscription.name,
        maxMessages: 1,
      });
      const request = {
        subscription: subscription.name,
        ackIds: receivedMessages.map(received => received.ackId),
      };
      await client.acknowledge(request);
      await assert.rejects(client.acknowledge(request), error => {
        assert.deepEqual(error.errorInfoMetadata ?? error.statusDetails?.[0]?.metadata, {
          [request.ackIds[0]]: 'PERMANENT_FAILURE_INVALID_ACK_ID',
        });
        return true;
      });
      await client.close();
    });
  });

  describe('closing', {concurrency: 6}, () => {
    const again = COMPLETE ? it : it.skip; // Google's emulator holds a closed stream's messages

    again('gives back what is held', async () => {
      const {topic, subscription} = await createBoth();
      const listening = listen(subscription, () => {});
      await topic.publishMessage({data: Buffer.from('data')});
      const [held] = await listening.count(1);
      await subscription.close();
      const other = topic.subscription(shortName(subscription));
      const [received] = await listen(other).count(1);
      await other.close();
      assert.equal(received.id, held.id);
    });

    again('may wait for what runs', async () => {
      const {topic, subscription} = await createBoth();
      subscription.setOptions({
        closeOptions: {behavior: 'WAIT', timeout: Duration.from({seconds: 20})},
      });
      const listening = listen(subscription, message => setTimeout(() => message.ack(), 200));
      await topic.publishMessage({data: Buffer.from('first')});
      await listening.count(1);
      await subscription.close();
      const other = topic.subscription(shortName(subscription));
      const next = listen(other);
      await topic.publishMessage({data: Buffer.from('second')});
      await next.count(1);
      await other.close();
      assert.deepEqual(next.seen.map(message => message.data.toString()), ['second']);
    });
  });

  describe('seeking', {concurrency: 6}, () => {
    const received = async (topic, subscription, seek) => {
      const listening = listen(subscription, async message => {
        message.ack();
        if (listening.seen.length === 1) {
          await seek(message);
        }
      });
      await topic.publishMessage({data: Buffer.from('data')});
      const seen = await listening.count(2);
      await subscription.close();
      assert.equal(seen[0].id, seen[1].id);
    };

    it('to a snapshot brings back what was acknowledged since', async () => {
      const {topic, subscription} = await createBoth();
      const [snapshot] = await subscription.createSnapshot(newName());
      const [snapshots] = await pubsub.getSnapshots();
      assert.ok(snapshots.some(found => found.name === snapshot.name));
      await received(topic, subscription, () => snapshot.seek());
      await snapshot.delete();
      await assert.rejects(subscription.seek(shortName(snapshot)), {code: NOT_FOUND});
    });

    it('to a date brings back what was published since', async () => {
      const {topic, subscription} = await createBoth({retainAckedMessages: true});
      await received(topic, subscription, ({publishTime}) =>
        subscription.seek(new Date(publishTime.getTime() - 1000))
      );
    });
  });

  describe('policies and detaching', {concurrency: 6, skip: !COMPLETE}, () => {
    it('get, set and test a policy', async () => {
      const topic = await createTopic();
      const [policy] = await topic.iam.getPolicy();
      assert.deepEqual(policy.bindings, []);
      assert.equal(policy.version, 0);
      const bindings = [{role: 'roles/pubsub.publisher', members: ['user:a@example.com']}];
      const [changed] = await topic.iam.setPolicy({bindings});
      assert.deepEqual(changed.bindings, [{condition: null, ...bindings[0]}]);
      const permissions = ['pubsub.topics.get', 'pubsub.topics.update'];
      const [allowed] = await topic.iam.testPermissions(permissions);
      assert.deepEqual(allowed, {'pubsub.topics.get': true, 'pubsub.topics.update': true});
    });

    it('detaches a subscription', async () => {
      const {topic, subscription} = await createBoth();
      assert.deepEqual(await subscription.detached(), [false]);
      await pubsub.detachSubscription(shortName(subscription));
      assert.deepEqual(await subscription.detached(), [true]);
      assert.deepEqual((await topic.getSubscriptions())[0], []);
    });
  });

  it('pulls one request at a time with the generated client', async () => {
    const {topic, subscription} = await createBoth();
    const client = directSubscriber();
    const id = await topic.publishMessage({data: Buffer.from('data')});
    const [response] = await client.pull({subscription: subscription.name, maxMessages: 10});
    const [received] = response.receivedMessages;
    assert.equal(received.message.messageId, id);
    const ackIds = [received.ackId];
    await client.modifyAckDeadline({
      subscription: subscription.name,
      ackIds,
      ackDeadlineSeconds: 60,
    });
    await client.acknowledge({subscription: subscription.name, ackIds});
    await client.close();
  });
});

function directSubscriber() {
  return new v1.SubscriberClient({
    projectId: PROJECT,
    servicePath: HOST,
    port: Number(PORT),
    sslCreds: credentials.createInsecure(),
  });
}
