"""The HTTP form of each method, as the services' own annotations have it.

Query parameters hold the fields that neither the path nor the body has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ucam_faas.emulator.wire.methods import (
    CLOUD_TASKS,
    IAM,
    LOCATIONS,
    PUBLISHER,
    SCHEDULER,
    SCHEMAS,
    SUBSCRIBER,
)

_TEXT = f"""
PUT    /v1/{{name=projects/*/topics/*}}                             {PUBLISHER} CreateTopic *
PATCH  /v1/{{topic.name=projects/*/topics/*}}                       {PUBLISHER} UpdateTopic *
POST   /v1/{{topic=projects/*/topics/*}}:publish                    {PUBLISHER} Publish *
GET    /v1/{{topic=projects/*/topics/*}}                            {PUBLISHER} GetTopic
GET    /v1/{{project=projects/*}}/topics                            {PUBLISHER} ListTopics
GET    /v1/{{topic=projects/*/topics/*}}/subscriptions              {PUBLISHER} ListTopicSubscriptions
GET    /v1/{{topic=projects/*/topics/*}}/snapshots                  {PUBLISHER} ListTopicSnapshots
DELETE /v1/{{topic=projects/*/topics/*}}                            {PUBLISHER} DeleteTopic
POST   /v1/{{subscription=projects/*/subscriptions/*}}:detach       {PUBLISHER} DetachSubscription
PUT    /v1/{{name=projects/*/subscriptions/*}}                      {SUBSCRIBER} CreateSubscription *
GET    /v1/{{subscription=projects/*/subscriptions/*}}              {SUBSCRIBER} GetSubscription
PATCH  /v1/{{subscription.name=projects/*/subscriptions/*}}         {SUBSCRIBER} UpdateSubscription *
GET    /v1/{{project=projects/*}}/subscriptions                     {SUBSCRIBER} ListSubscriptions
DELETE /v1/{{subscription=projects/*/subscriptions/*}}              {SUBSCRIBER} DeleteSubscription
POST   /v1/{{subscription=projects/*/subscriptions/*}}:modifyAckDeadline {SUBSCRIBER} ModifyAckDeadline *
POST   /v1/{{subscription=projects/*/subscriptions/*}}:acknowledge  {SUBSCRIBER} Acknowledge *
POST   /v1/{{subscription=projects/*/subscriptions/*}}:pull         {SUBSCRIBER} Pull *
POST   /v1/{{subscription=projects/*/subscriptions/*}}:modifyPushConfig {SUBSCRIBER} ModifyPushConfig *
POST   /v1/{{subscription=projects/*/subscriptions/*}}:seek         {SUBSCRIBER} Seek *
GET    /v1/{{snapshot=projects/*/snapshots/*}}                      {SUBSCRIBER} GetSnapshot
GET    /v1/{{project=projects/*}}/snapshots                         {SUBSCRIBER} ListSnapshots
PUT    /v1/{{name=projects/*/snapshots/*}}                          {SUBSCRIBER} CreateSnapshot *
PATCH  /v1/{{snapshot.name=projects/*/snapshots/*}}                 {SUBSCRIBER} UpdateSnapshot *
DELETE /v1/{{snapshot=projects/*/snapshots/*}}                      {SUBSCRIBER} DeleteSnapshot
POST   /v1/{{parent=projects/*}}/schemas                            {SCHEMAS} CreateSchema schema
GET    /v1/{{parent=projects/*}}/schemas                            {SCHEMAS} ListSchemas
GET    /v1/{{name=projects/*/schemas/*}}                            {SCHEMAS} GetSchema
DELETE /v1/{{name=projects/*/schemas/*}}                            {SCHEMAS} DeleteSchema
GET    /v1/{{name=projects/*/schemas/*}}:listRevisions              {SCHEMAS} ListSchemaRevisions
POST   /v1/{{name=projects/*/schemas/*}}:commit                     {SCHEMAS} CommitSchema *
POST   /v1/{{name=projects/*/schemas/*}}:rollback                   {SCHEMAS} RollbackSchema *
DELETE /v1/{{name=projects/*/schemas/*}}:deleteRevision             {SCHEMAS} DeleteSchemaRevision
POST   /v1/{{parent=projects/*}}/schemas:validate                   {SCHEMAS} ValidateSchema *
POST   /v1/{{parent=projects/*}}/schemas:validateMessage            {SCHEMAS} ValidateMessage *
GET    /v1/{{resource=projects/*/topics/*}}:getIamPolicy            {IAM} GetIamPolicy
GET    /v1/{{resource=projects/*/subscriptions/*}}:getIamPolicy     {IAM} GetIamPolicy
GET    /v1/{{resource=projects/*/snapshots/*}}:getIamPolicy         {IAM} GetIamPolicy
GET    /v1/{{resource=projects/*/schemas/*}}:getIamPolicy           {IAM} GetIamPolicy
POST   /v1/{{resource=projects/*/topics/*}}:setIamPolicy            {IAM} SetIamPolicy *
POST   /v1/{{resource=projects/*/subscriptions/*}}:setIamPolicy     {IAM} SetIamPolicy *
POST   /v1/{{resource=projects/*/snapshots/*}}:setIamPolicy         {IAM} SetIamPolicy *
POST   /v1/{{resource=projects/*/schemas/*}}:setIamPolicy           {IAM} SetIamPolicy *
POST   /v1/{{resource=projects/*/topics/*}}:testIamPermissions      {IAM} TestIamPermissions *
POST   /v1/{{resource=projects/*/subscriptions/*}}:testIamPermissions {IAM} TestIamPermissions *
POST   /v1/{{resource=projects/*/snapshots/*}}:testIamPermissions   {IAM} TestIamPermissions *
POST   /v1/{{resource=projects/*/schemas/*}}:testIamPermissions     {IAM} TestIamPermissions *
POST   /v1/{{parent=projects/*/locations/*}}/jobs                   {SCHEDULER} CreateJob job
GET    /v1/{{parent=projects/*/locations/*}}/jobs                   {SCHEDULER} ListJobs
GET    /v1/{{name=projects/*/locations/*/jobs/*}}                   {SCHEDULER} GetJob
PATCH  /v1/{{job.name=projects/*/locations/*/jobs/*}}               {SCHEDULER} UpdateJob job
DELETE /v1/{{name=projects/*/locations/*/jobs/*}}                   {SCHEDULER} DeleteJob
POST   /v1/{{name=projects/*/locations/*/jobs/*}}:pause             {SCHEDULER} PauseJob *
POST   /v1/{{name=projects/*/locations/*/jobs/*}}:resume            {SCHEDULER} ResumeJob *
POST   /v1/{{name=projects/*/locations/*/jobs/*}}:run               {SCHEDULER} RunJob *
GET    /v1/{{name=projects/*}}/locations                            {LOCATIONS} ListLocations
GET    /v1/{{name=projects/*/locations/*}}                          {LOCATIONS} GetLocation
POST   /v2/{{parent=projects/*/locations/*}}/queues                       {CLOUD_TASKS} CreateQueue queue
GET    /v2/{{parent=projects/*/locations/*}}/queues                       {CLOUD_TASKS} ListQueues
GET    /v2/{{name=projects/*/locations/*/queues/*}}                       {CLOUD_TASKS} GetQueue
PATCH  /v2/{{queue.name=projects/*/locations/*/queues/*}}                 {CLOUD_TASKS} UpdateQueue queue
DELETE /v2/{{name=projects/*/locations/*/queues/*}}                       {CLOUD_TASKS} DeleteQueue
POST   /v2/{{name=projects/*/locations/*/queues/*}}:purge                 {CLOUD_TASKS} PurgeQueue *
POST   /v2/{{name=projects/*/locations/*/queues/*}}:pause                 {CLOUD_TASKS} PauseQueue *
POST   /v2/{{name=projects/*/locations/*/queues/*}}:resume                {CLOUD_TASKS} ResumeQueue *
POST   /v2/{{resource=projects/*/locations/*/queues/*}}:getIamPolicy {CLOUD_TASKS} GetIamPolicy *
POST   /v2/{{resource=projects/*/locations/*/queues/*}}:setIamPolicy {CLOUD_TASKS} SetIamPolicy *
POST   /v2/{{resource=projects/*/locations/*/queues/*}}:testIamPermissions {CLOUD_TASKS} TestIamPermissions *
POST   /v2/{{parent=projects/*/locations/*/queues/*}}/tasks               {CLOUD_TASKS} CreateTask *
GET    /v2/{{parent=projects/*/locations/*/queues/*}}/tasks               {CLOUD_TASKS} ListTasks
GET    /v2/{{name=projects/*/locations/*/queues/*/tasks/*}}               {CLOUD_TASKS} GetTask
DELETE /v2/{{name=projects/*/locations/*/queues/*/tasks/*}}               {CLOUD_TASKS} DeleteTask
POST   /v2/{{name=projects/*/locations/*/queues/*/tasks/*}}:run           {CLOUD_TASKS} RunTask *
GET    /v2/{{name=projects/*}}/locations                            {LOCATIONS} ListLocations
GET    /v2/{{name=projects/*/locations/*}}                          {LOCATIONS} GetLocation
"""  # noqa: E501  # a table


@dataclass(frozen=True, slots=True)
class Route:
    """A method's HTTP form."""

    verb: str
    template: str
    pattern: re.Pattern[str]
    field: str
    """The field of the request message that the path fills."""
    service: str
    method: str
    body: str
    """The field that the body fills; * for the message itself, nothing for no body."""


def _route(line: str) -> Route:
    verb, template, service, method, *body = line.split()
    field, named = re.findall(r"\{([\w.]+)=([^}]+)\}", template)[0]
    before, _, after = template.partition(f"{{{field}={named}}}")
    project = named.replace("*", "[^/]+", 1)  # such as example.com:name
    wild = project.replace("*", "[^/:]+")
    pattern = re.compile(f"{re.escape(before)}({wild}){re.escape(after)}")
    return Route(verb, template, pattern, field, service, method, body[0] if body else "")


@cache
def routes() -> Sequence[Route]:
    """Return all routes; they are read when the first REST request comes."""
    return [_route(line) for line in _TEXT.strip().splitlines()]


def find(verb: str, path: str) -> tuple[Route, str] | None:
    """Return the route of a request, and the resource that its path names."""
    for route in routes():
        match = route.pattern.fullmatch(path) if route.verb == verb else None
        if match is not None:
            return route, match[1]
    return None
