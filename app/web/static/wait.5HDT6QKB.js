import{a as _}from"./chunk.347K3NNA.js";import{a as m,b as I,d as D,e as k,g as p,i as f,j as S}from"./chunk.PVCOVTQN.js";import"./chunk.4FMPZ2DR.js";import{a as l,b as T,d,e as c,g as r,j as h,k as y,o as g,p as W,r as E,t as A,u as P,w as t}from"./chunk.TLLUHCT6.js";import"./chunk.S47QW7L4.js";var z=[[60,"1 hour"],[180,"3 hours"],[720,"12 hours"],[1440,"1 day"],[2880,"2 days"]];function N({waiting:i,place:e}){return t("form",{class:"booking",onSubmit:n=>{n.preventDefault(),i.join()},onInput:()=>i.changed(),children:[t(j,{waiting:i,place:e}),t(Z,{waiting:i}),t("div",{class:"pair",children:[t("label",{children:["Provider",t("select",{value:i.provider.value,onChange:({currentTarget:n})=>i.provider.value=n.value,children:[t("option",{value:"",children:"Any provider"}),e.providers.map(({id:n,name:s})=>t("option",{value:n,children:s},n))]})]}),t("label",{children:["Notice that I need",t("select",{value:String(i.notice.value),onChange:({currentTarget:n})=>i.notice.value=Number(n.value),children:z.map(([n,s])=>t("option",{value:String(n),children:s},n))})]})]}),t("label",{class:"check",children:[t("input",{type:"checkbox",checked:i.autoBook.value,onChange:({currentTarget:n})=>i.autoBook.value=n.checked}),"Book it for me without asking"]}),t(J,{waiting:i}),t("p",{class:"actions",children:t("button",{type:"submit",class:"button",children:"Join the waitlist"})})]})}function j({waiting:i,place:e}){return t("div",{class:"pair",children:[t(x,{waiting:i,name:"from",label:"First day"}),t(x,{waiting:i,name:"to",label:"Last day"}),t("p",{class:"quiet",children:["Days and times are on the clinic's clock: ",P(e.clinic.timeZone),"."]})]})}function x({waiting:i,name:e,label:o}){let n=e==="from"?i.first:i.last,s=i.fault.value?.field===e?i.fault.value.text:"",a=c(null);return d(()=>{s&&a.current?.focus()},[s]),t("div",{class:"field",children:[t("label",{children:[o,t("input",{ref:a,type:"date",required:!0,min:i.today,max:i.furthest,value:n.value,"aria-invalid":s!=="","aria-describedby":`${e}-fault`,onInput:({currentTarget:u})=>n.value=u.value})]}),t("p",{id:`${e}-fault`,class:"fault",role:"alert",children:s})]})}function Z({waiting:i}){return t("div",{class:"pair",children:[t("label",{children:["Time of day",t("select",{value:i.hours.value,onChange:({currentTarget:e})=>i.hours.value=e.value,children:[t("option",{value:"any",children:"Any time"}),t("option",{value:"mornings",children:"Mornings, before noon"}),t("option",{value:"afternoons",children:"Afternoons, from noon"})]})]}),t("label",{class:"check",children:[t("input",{type:"checkbox",checked:i.weekdays.value,onChange:({currentTarget:e})=>i.weekdays.value=e.checked}),"Weekdays only"]})]})}function J({waiting:i}){let e=i.fault.value;return t("p",{class:"fault",role:"alert",children:e&&e.field!=="from"&&e.field!=="to"?e.text:""})}var $={MONDAY:"Mondays",TUESDAY:"Tuesdays",WEDNESDAY:"Wednesdays",THURSDAY:"Thursdays",FRIDAY:"Fridays",SATURDAY:"Saturdays",SUNDAY:"Sundays"},F=Object.keys($).slice(0,5),K={any:["00:00","24:00"],mornings:["00:00","12:00"],afternoons:["12:00","24:00"]};function R(i,e){let[o,n]=K[i];return e?F.map(s=>({weekday:s,opens:o,closes:n})):i==="any"?[]:[{weekday:null,opens:o,closes:n}]}function C(i){if(i.length===0)return"Any time";let e=new Map;for(let{weekday:o,opens:n,closes:s}of i){let a=G(n,s);e.set(a,[...e.get(a)??[],o??""])}return[...e].map(([o,n])=>`${Q(n)}${o}`).join("; ")}function G(i,e){return i==="00:00"&&e==="24:00"?"any time":i==="00:00"&&e==="12:00"?"mornings":i==="12:00"&&e==="24:00"?"afternoons":`${i} to ${e}`}function Q(i){return i.includes("")?"Every day, ":i.length===5&&F.every(e=>i.includes(e))?"Weekdays, ":`${i.map(e=>$[e]).join(", ")}, `}function M({waiting:i,development:e}){let[o,n,s]=[i.step.value,i.place.value,i.patient.value];return t(l,{children:[t(ee,{waiting:i}),n&&t("p",{class:"lead",children:[n.visitType.name," at ",n.clinic.name]}),t("div",{class:"card step","data-step":o,"aria-busy":o==="loading"||o==="sending",children:t(te,{waiting:i,development:e})}),e&&s&&t("p",{class:"quiet",children:["Development: acting as ",s.name,"."," ",t("button",{type:"button",class:"link",onClick:()=>i.signOut(),children:"Be somebody else"})]}),t("p",{class:"unseen",role:"status",children:i.spoken.value})]})}var X={missing:"There is nothing to wait for here",unread:"The clinic's calendar could not be read",waiting:"You are on the waitlist",booked:"You are booked",left:"You are no longer waiting",unknown:"No answer yet"};function ee({waiting:i}){let[e,o]=[i.step.value,i.entry.value],s=e==="waiting"&&o?.offer?"A time has opened for you":X[e]??"Tell me when a time opens",a=c(null),u=c(e);return d(()=>{document.title=`${s} · Appointments`,u.current==="sending"&&e!=="form"&&a.current?.focus(),u.current=e},[e,s]),t("h1",{ref:a,tabIndex:-1,children:s})}function te({waiting:i,development:e}){let[o,n]=[i.place.value,i.entry.value];switch(i.step.value){case"loading":return t("p",{children:"Reading the clinic's calendar …"});case"missing":return t(l,{children:[t("p",{children:"The link may be old or incomplete."}),t("p",{class:"actions",children:t("a",{class:"button",href:"/calendar",children:"Choose a clinic"})})]});case"unread":return t(L,{text:"The clinic's calendar did not answer.",waiting:i});case"unknown":return t(L,{text:"The clinic did not answer, so we don't know the outcome yet. Trying again is safe: nothing happens twice.",waiting:i});case"sign-in":return t(S,{clinic:o?.clinic??null,development:e,action:"Sign in and choose what to wait for",signIn:s=>i.signIn(s)});case"form":return o&&t(N,{waiting:i,place:o});case"sending":return t("p",{children:"One moment …"});case"waiting":return n&&t(ie,{waiting:i,entry:n});case"booked":return t(ne,{entry:n,waiting:i});case"left":return t(oe,{waiting:i})}}function ie({waiting:i,entry:e}){let o=i.place.value?.clinic.timeZone??"UTC",n=e.status==="SUSPENDED";return t(l,{children:[e.offer&&t("div",{class:"hold","data-state":"held",children:[t("p",{children:[t("b",{children:f(e.offer.slot.startsAt,null,o)})," is kept for you until ",f(e.offer.expiresAt,null,o),"."]}),t("a",{class:"button",href:`/offer/${e.offer.id}`,children:"See the offer"})]}),n&&t("p",{children:"Three offers in a row were not taken, so we have stopped sending you more."}),!n&&!e.offer&&t("p",{children:e.autoBook?"As soon as a time that suits you is given up, we book it for you.":"As soon as a time that suits you is given up, we offer it to you first. You can leave this page open."}),t("dl",{class:"facts",children:[t(p,{name:"Days",children:A(e.from,e.to)}),t(p,{name:"Times",children:C(e.windows)}),t(p,{name:"With",children:e.providers.map(({name:s})=>s).join(", ")||"Any provider"}),t(p,{name:"When a time opens",children:e.autoBook?"Book it for me without asking":"Ask me first"})]}),t("p",{class:"actions",children:[n&&t("button",{type:"button",class:"button",onClick:()=>{i.resume()},children:"Wait again"}),t("button",{type:"button",onClick:()=>{i.leave()},children:"Leave the waitlist"})]}),i.fault.value&&t("p",{class:"fault",role:"alert",children:i.fault.value.text})]})}function ne({waiting:i,entry:e}){let o=i.place.value?.clinic.timeZone??"UTC",n=e?.appointment?.startsAt;return t(l,{children:[t("p",{children:n?`Your appointment: ${E(n.slice(0,10))}, ${f(n,null,o).replace(/^.*?, (?=\d)/,"")}, the clinic's clock.`:"The time is yours."}),t("p",{class:"quiet",children:"You can close this page now."})]})}function oe({waiting:i}){return t(l,{children:[t("p",{children:"We will not tell you of times that open here."}),t("p",{class:"actions",children:[t("button",{type:"button",class:"button",onClick:()=>i.anew(),children:"Wait again"}),t("a",{href:`/calendar?${new URLSearchParams({clinic:i.asked.clinic,"visit-type":i.asked.visitType})}`,children:"See all open times"})]})]})}function L({text:i,waiting:e}){return t(l,{children:[t("p",{children:i}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>{e.again()},children:"Try again"})})]})}var U=`mutation Change($input: UpdateWaitlistEntryInput!) {
  result: updateWaitlistEntry(input: $input) {
    __typename
    ... on WaitlistEntryUpdated {
      entry {
        ...Waited
      }
    }
    ... on Refusal {
      message
    }
    ... on InvalidInput {
      field
    }
  }
}

fragment Waited on WaitlistEntry {
  id
  version
  status
  from
  to
  minimumNoticeMinutes
  autoBook
  windows {
    weekday
    opens
    closes
  }
  clinic {
    id
  }
  visitType {
    id
  }
  providers {
    id
    name
  }
  appointment {
    startsAt
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var B=`mutation Join($input: JoinWaitlistInput!) {
  result: joinWaitlist(input: $input) {
    __typename
    ... on WaitlistJoined {
      entry {
        ...Waited
      }
    }
    ... on Refusal {
      message
    }
    ... on PolicyViolation {
      rule
    }
    ... on InvalidInput {
      field
    }
  }
}

fragment Waited on WaitlistEntry {
  id
  version
  status
  from
  to
  minimumNoticeMinutes
  autoBook
  windows {
    weekday
    opens
    closes
  }
  clinic {
    id
  }
  visitType {
    id
  }
  providers {
    id
    name
  }
  appointment {
    startsAt
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var Y=`mutation Leave($input: LeaveWaitlistInput!) {
  result: leaveWaitlist(input: $input) {
    __typename
    ... on WaitlistLeft {
      entry {
        ...Waited
      }
    }
    ... on Refusal {
      message
    }
  }
}

fragment Waited on WaitlistEntry {
  id
  version
  status
  from
  to
  minimumNoticeMinutes
  autoBook
  windows {
    weekday
    opens
    closes
  }
  clinic {
    id
  }
  visitType {
    id
  }
  providers {
    id
    name
  }
  appointment {
    startsAt
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var O=`query WaitedFor {
  viewer {
    patient {
      waitlistEntries {
        ...Waited
      }
    }
  }
}

fragment Waited on WaitlistEntry {
  id
  version
  status
  from
  to
  minimumNoticeMinutes
  autoBook
  windows {
    weekday
    opens
    closes
  }
  clinic {
    id
  }
  visitType {
    id
  }
  providers {
    id
    name
  }
  appointment {
    startsAt
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var H=`query PlaceToWaitFor($clinic: ID!, $visitType: ID!) {
  clinic: node(id: $clinic) {
    ... on Clinic {
      id
      name
      phone
      timeZone
      providers(first: 100) {
        edges {
          node {
            id
            name
            visitTypes(clinicId: $clinic) {
              id
            }
          }
        }
      }
    }
  }
  visitType: node(id: $visitType) {
    ... on VisitType {
      id
      name
      bookableDaysAhead
    }
  }
}
`;var q=new Set(["ACTIVE","OFFERED","SUSPENDED"]),ce=30,v=class{constructor(e){this.asked=e}asked;step=r("loading");patient=r(D());place=r(null);entry=r(null);fault=r(null);spoken=r("");first=r("");last=r("");hours=r("any");weekdays=r(!1);provider=r("");notice=r(180);autoBook=r(!1);#o=m();#s=()=>this.begin();#a=()=>{};get today(){return W(this.place.value?.clinic.timeZone??"UTC",Date.now())}get furthest(){return g(this.today,this.place.value?.visitType.bookableDaysAhead??0)}async begin(){this.step.value="loading",this.#s=()=>this.begin();try{let{clinic:e,visitType:o}=this.asked,n=await y("/graphql",H,{clinic:e,visitType:o});if(!n.clinic?.name||!n.visitType?.name){this.step.value="missing";return}let s=(n.clinic.providers?.edges??[]).map(({node:a})=>a).filter(({visitTypes:a})=>a.some(({id:u})=>u===o));this.place.value={clinic:n.clinic,visitType:n.visitType,providers:s},s.some(({id:a})=>a===this.asked.provider)&&(this.provider.value=this.asked.provider),this.first.value||=this.today,this.last.value||=[g(this.today,ce),this.furthest].sort()[0],await this.#t()}catch(e){this.#l(e,"unread")}}signIn(e){k(e),this.patient.value=e,this.#t().catch(o=>this.#l(o,"unread"))}signOut(){this.#a(),k(null),this.patient.value=this.entry.value=null,this.step.value="sign-in"}changed(){this.#o=m()}async join(){let{clinic:e,visitType:o}=this.asked;await this.#e(B,()=>({clinicId:e,visitTypeId:o,from:this.first.value,to:this.last.value,providerIds:this.provider.value?[this.provider.value]:null,windows:R(this.hours.value,this.weekdays.value),minimumNoticeMinutes:this.notice.value,autoBook:this.autoBook.value}))}async resume(){let e=this.entry.value;if(!e)return;let o=e.from<this.today?this.today:e.from;await this.#e(U,()=>({entryId:e.id,version:e.version,from:o}))}async leave(){let e=this.entry.value;e&&await this.#e(Y,()=>({entryId:e.id}))}anew(){this.entry.value=null,this.changed(),this.step.value="form"}async again(){await this.#s()}async#e(e,o){let n=this.patient.value;if(!n||this.step.value==="sending")return;let s=this.entry.value?"waiting":"form";this.#s=()=>this.#e(e,o),this.fault.value=null,this.step.value="sending";try{let a=await I(e,{...o(),idempotencyKey:this.#o},n.token);this.#o=m(),await this.#c(a,s)}catch(a){a instanceof h&&a.code==="BAD_USER_INPUT"?(this.#i("",a.message),this.step.value=s):this.#l(a,"unknown")}}async#c(e,o){if("entry"in e){this.#r(e.entry),this.#n(e.__typename==="WaitlistLeft"?"You are no longer waiting.":"You are on the waitlist.");return}if(e.__typename==="PolicyViolation"&&e.rule==="ALREADY_WAITING"){await this.#t(),this.#n("You were on the waitlist for this already.");return}this.step.value=o,e.__typename==="InvalidInput"?this.#i(e.field,e.message):e.__typename==="PolicyViolation"?this.#i("","Nobody at the clinic offers this kind of visit at the moment."):(await this.#t(),e.__typename==="NotFound"&&this.step.value==="form"&&this.#i("","This is not offered any more. Please choose another provider, or call."))}async#t(){let e=this.patient.value;if(!this.place.value)return;if(!e){this.step.value="sign-in";return}let o=await this.#u(e);o?this.#r(o):this.step.value="form",this.#a(),this.#a=_(e.token,()=>{this.#p()})}async#u(e){let{viewer:o}=await y("/graphql",O,{},{token:e.token}),n=(o.patient?.waitlistEntries??[]).filter(({clinic:s,visitType:a})=>s.id===this.asked.clinic&&a.id===this.asked.visitType);return n.find(({id:s})=>s===this.entry.value?.id)??n.find(({status:s})=>q.has(s))??null}async#p(){let e=this.patient.value;if(!e||this.step.value!=="waiting")return;let[o,n]=[this.entry.value,await this.#u(e).catch(()=>null)];!n||this.step.value!=="waiting"||this.entry.value!==o||(this.#r(n),n.offer&&n.offer.id!==o?.offer?.id&&this.#n("A time has opened for you."))}#r(e){this.entry.value=e,q.has(e.status)?this.step.value="waiting":this.step.value=e.status==="FULFILLED"?"booked":"left"}#i(e,o){this.fault.value={field:e.split(".")[0],text:o}}#l(e,o){e instanceof h&&(e.code==="UNAUTHENTICATED"||e.code==="FORBIDDEN")?(this.signOut(),this.#n("Please sign in again.")):this.step.value=o}#n(e){this.spoken.value=this.spoken.value===e?`${e} `:e}};var w=document.getElementById("wait"),b=new URLSearchParams(location.search),V=new v({clinic:b.get("clinic")??"",visitType:b.get("visitType")??"",provider:b.get("provider")??""});w.replaceChildren();T(t(M,{waiting:V,development:w.dataset.mode==="development"}),w);V.begin();
