import{a as N,b as _}from"./chunk.7GQDTQKO.js";import{a as L}from"./chunk.347K3NNA.js";import{a as v,b as x,d as $,e as E,g as c,i as u,j as C}from"./chunk.PVCOVTQN.js";import"./chunk.4FMPZ2DR.js";import{a as p,b as P,d as f,e as d,g as l,j as w,k as b,o as T,p as I,r as S,t as h,u as D,w as t}from"./chunk.TLLUHCT6.js";import"./chunk.S47QW7L4.js";var G=[[60,"1 hour"],[180,"3 hours"],[720,"12 hours"],[1440,"1 day"],[2880,"2 days"]];function F({waiting:i,place:e}){return t("form",{class:"booking",onSubmit:n=>{n.preventDefault(),i.join()},onInput:()=>i.changed(),children:[i.movable.length>0&&t(Q,{waiting:i}),t(X,{waiting:i,place:e}),t(ee,{waiting:i}),t("div",{class:"pair",children:[t("label",{children:["Provider",t("select",{value:i.provider.value,onChange:({currentTarget:n})=>i.provider.value=n.value,children:[t("option",{value:"",children:"Any provider"}),e.providers.map(({id:n,name:a})=>t("option",{value:n,children:a},n))]})]}),t("label",{children:["Notice that I need",t("select",{value:String(i.notice.value),onChange:({currentTarget:n})=>i.notice.value=Number(n.value),children:G.map(([n,a])=>t("option",{value:String(n),children:a},n))})]})]}),t("label",{class:"check",children:[t("input",{type:"checkbox",checked:i.autoBook.value,onChange:({currentTarget:n})=>i.autoBook.value=n.checked}),"Book it for me without asking"]}),t(te,{waiting:i}),t("p",{class:"actions",children:t("button",{type:"submit",class:"button",children:"Join the waitlist"})})]})}function Q({waiting:i}){let e=i.asked.clinic;return t("fieldset",{class:"choice",children:[t("legend",{children:"What would you like?"}),t("label",{class:"check",children:[t("input",{type:"radio",name:"moves",value:"",checked:i.moves.value==="",onChange:()=>i.choose("")}),"A new appointment"]}),i.movable.map(({id:s,startsAt:n,provider:a,clinic:o})=>t("label",{class:"check",children:[t("input",{type:"radio",name:"moves",value:s,checked:i.moves.value===s,onChange:()=>i.choose(s)}),t("span",{children:["An earlier time than ",u(n,null,o.timeZone)," with ",a.name,o.id===e?"":` at ${o.name}`]})]},s)),i.moves.value&&t("p",{class:"quiet",children:"Your appointment stays yours until you take an earlier time."})]})}function X({waiting:i,place:e}){return t("div",{class:"pair",children:[t(O,{waiting:i,name:"from",label:"First day"}),t(O,{waiting:i,name:"to",label:"Last day"}),t("p",{class:"quiet",children:["Days and times are on the clinic's clock: ",D(e.clinic.timeZone),"."]})]})}function O({waiting:i,name:e,label:s}){let n=e==="from"?i.first:i.last,a=i.fault.value?.field===e?i.fault.value.text:"",o=d(null);return f(()=>{a&&o.current?.focus()},[a]),t("div",{class:"field",children:[t("label",{children:[s,t("input",{ref:o,type:"date",required:!0,min:i.today,max:i.furthest,value:n.value,"aria-invalid":a!=="","aria-describedby":`${e}-fault`,onInput:({currentTarget:r})=>n.value=r.value})]}),t("p",{id:`${e}-fault`,class:"fault",role:"alert",children:a})]})}function ee({waiting:i}){return t("div",{class:"pair",children:[t("label",{children:["Time of day",t("select",{value:i.hours.value,onChange:({currentTarget:e})=>i.hours.value=e.value,children:[t("option",{value:"any",children:"Any time"}),t("option",{value:"mornings",children:"Mornings, before noon"}),t("option",{value:"afternoons",children:"Afternoons, from noon"})]})]}),t("label",{class:"check",children:[t("input",{type:"checkbox",checked:i.weekdays.value,onChange:({currentTarget:e})=>i.weekdays.value=e.checked}),"Weekdays only"]})]})}function te({waiting:i}){let e=i.fault.value;return t("p",{class:"fault",role:"alert",children:e&&e.field!=="from"&&e.field!=="to"?e.text:""})}var Y={MONDAY:"Mondays",TUESDAY:"Tuesdays",WEDNESDAY:"Wednesdays",THURSDAY:"Thursdays",FRIDAY:"Fridays",SATURDAY:"Saturdays",SUNDAY:"Sundays"},R=Object.keys(Y).slice(0,5),ie={any:["00:00","24:00"],mornings:["00:00","12:00"],afternoons:["12:00","24:00"]};function U(i,e){let[s,n]=ie[i];return e?R.map(a=>({weekday:a,opens:s,closes:n})):i==="any"?[]:[{weekday:null,opens:s,closes:n}]}function y(i){if(i.length===0)return"Any time";let e=new Map;for(let{weekday:s,opens:n,closes:a}of i){let o=ne(n,a);e.set(o,[...e.get(o)??[],s??""])}return[...e].map(([s,n])=>`${se(n)}${s}`).join("; ")}function ne(i,e){return i==="00:00"&&e==="24:00"?"any time":i==="00:00"&&e==="12:00"?"mornings":i==="12:00"&&e==="24:00"?"afternoons":`${i} to ${e}`}function se(i){return i.includes("")?"Every day, ":i.length===5&&R.every(e=>i.includes(e))?"Weekdays, ":`${i.map(e=>Y[e]).join(", ")}, `}function Z({waiting:i}){let[e,s]=[i.entries.value,i.own.value];return t(p,{children:[e.length===0?t("p",{children:"You are on no waitlist."}):t("ul",{class:"mine",role:"list","aria-label":"Waiting for",children:e.map(n=>t(oe,{entry:n,waiting:i},n.id))}),i.fault.value&&t("p",{class:"fault",role:"alert",children:i.fault.value.text}),s.length>0&&t(p,{children:[t("h2",{children:"Your appointments"}),t("ul",{class:"mine",role:"list",children:s.map(n=>t(re,{one:n,waited:e.find(a=>ae(a,n))},n.id))})]})]})}function ae(i,e){return i.clinic.id===e.clinic.id&&i.visitType.id===e.visitType.id}function M(i,e){return`/wait?${new URLSearchParams({clinic:i,visitType:e})}`}function oe({entry:i,waiting:e}){let{clinic:s,visitType:n,appointment:a,offer:o}=i,r=`${n.name} at ${s.name}`;return t("li",{children:[t("p",{children:[t("a",{href:M(s.id,n.id),children:r}),t("br",{}),a&&t(p,{children:["Earlier than ",u(a.startsAt,null,a.clinic.timeZone),". "]}),h(i.from,i.to),", ",y(i.windows).toLowerCase()]}),i.status==="SUSPENDED"&&t("p",{children:"Paused: three offers in a row were not taken."}),o&&t("p",{children:t("a",{href:`/offer/${o.id}`,children:[u(o.slot.startsAt,null,s.timeZone)," is kept for you until ",u(o.expiresAt,null,s.timeZone)]})}),t("p",{children:t("button",{type:"button","aria-label":`Leave the waitlist: ${r}`,onClick:()=>{e.leave(i)},children:"Leave the waitlist"})})]})}function re({one:i,waited:e}){let s=u(i.startsAt,null,i.clinic.timeZone);return t("li",{children:[t("p",{children:[t("b",{children:s}),t("br",{}),i.visitType.name," with ",i.provider.name,", ",i.clinic.name]}),e?t("p",{class:"quiet",children:e.appointment?.id===i.id?"You wait for an earlier time.":"You wait for this kind of visit here already."}):t("p",{children:t("a",{href:`${M(i.clinic.id,i.visitType.id)}&earlier`,"aria-label":`Ask for an earlier time than ${s}`,onClick:()=>N(i.id),children:"Ask for an earlier time"})})]})}function H({waiting:i,development:e}){let[s,n,a]=[i.step.value,i.place.value,i.patient.value];return t(p,{children:[t(ue,{waiting:i}),n&&t("p",{class:"lead",children:[n.visitType.name," at ",n.clinic.name]}),t("div",{class:"card step","data-step":s,"aria-busy":s==="loading"||s==="sending",children:t(pe,{waiting:i,development:e})}),e&&a&&t("p",{class:"quiet",children:["Development: acting as ",a.name,"."," ",t("button",{type:"button",class:"link",onClick:()=>i.signOut(),children:"Be somebody else"})]}),t("p",{class:"unseen",role:"status",children:i.spoken.value})]})}var le={missing:"There is nothing to wait for here",unread:"The clinic's calendar could not be read",waiting:"You are on the waitlist",booked:"You are booked",left:"You are no longer waiting",unknown:"No answer yet"};function ue({waiting:i}){let[e,s]=[i.step.value,i.entry.value],n=e==="waiting"&&s?.offer,a=i.listing?"What you wait for":i.moves.value&&e==="form"?"Tell me when an earlier time opens":"Tell me when a time opens",o=n?"A time has opened for you":le[e]??a,r=d(null),m=d(e);return f(()=>{document.title=`${o} · Appointments`,m.current==="sending"&&e!=="form"&&r.current?.focus(),m.current=e},[e,o]),t("h1",{ref:r,tabIndex:-1,children:o})}function pe({waiting:i,development:e}){let[s,n]=[i.place.value,i.entry.value];switch(i.step.value){case"loading":return t("p",{children:"Reading the clinic's calendar …"});case"missing":return t(p,{children:[t("p",{children:"The link may be old or incomplete."}),t("p",{class:"actions",children:t("a",{class:"button",href:"/calendar",children:"Choose a clinic"})})]});case"unread":return t(B,{text:"The clinic's calendar did not answer.",waiting:i});case"unknown":return t(B,{text:"The clinic did not answer, so we don't know the outcome yet. Trying again is safe: nothing happens twice.",waiting:i});case"sign-in":return t(C,{clinic:s?.clinic??null,development:e,action:i.listing?"Sign in and see what you wait for":"Sign in and choose what to wait for",signIn:a=>i.signIn(a)});case"list":return t(Z,{waiting:i});case"form":return s&&t(F,{waiting:i,place:s});case"sending":return t("p",{children:"One moment …"});case"waiting":return n&&t(ce,{waiting:i,entry:n});case"booked":return t(de,{entry:n,waiting:i});case"left":return t(me,{waiting:i})}}function ce({waiting:i,entry:e}){let s=i.place.value?.clinic.timeZone??"UTC",n=e.status==="SUSPENDED";return t(p,{children:[e.offer&&t("div",{class:"hold","data-state":"held",children:[t("p",{children:[t("b",{children:u(e.offer.slot.startsAt,null,s)})," is kept for you until ",u(e.offer.expiresAt,null,s),"."]}),t("a",{class:"button",href:`/offer/${e.offer.id}`,children:"See the offer"})]}),n&&t("p",{children:"Three offers in a row were not taken, so we have stopped sending you more."}),!n&&!e.offer&&t("p",{children:e.autoBook?"As soon as a time that suits you is given up, we book it for you.":"As soon as a time that suits you is given up, we offer it to you first. You can leave this page open."}),t("dl",{class:"facts",children:[e.appointment&&t(c,{name:"Earlier than",children:[u(e.appointment.startsAt,null,e.appointment.clinic.timeZone),t("br",{}),t("span",{class:"quiet",children:"This appointment stays yours until you take an earlier time."})]}),t(c,{name:"Days",children:h(e.from,e.to)}),t(c,{name:"Times",children:y(e.windows)}),t(c,{name:"With",children:e.providers.map(({name:a})=>a).join(", ")||"Any provider"}),t(c,{name:"When a time opens",children:e.autoBook?"Book it for me without asking":"Ask me first"})]}),t("p",{class:"actions",children:[n&&t("button",{type:"button",class:"button",onClick:()=>{i.resume()},children:"Wait again"}),t("button",{type:"button",onClick:()=>{i.leave()},children:"Leave the waitlist"})]}),i.fault.value&&t("p",{class:"fault",role:"alert",children:i.fault.value.text})]})}function de({waiting:i,entry:e}){let s=i.place.value?.clinic.timeZone??"UTC",n=e?.appointment?.startsAt;return t(p,{children:[t("p",{children:n?`Your appointment: ${S(n.slice(0,10))}, ${u(n,null,s).replace(/^.*?, (?=\d)/,"")}, the clinic's clock.`:"The time is yours."}),t("p",{class:"quiet",children:"You can close this page now."})]})}function me({waiting:i}){return t(p,{children:[t("p",{children:"We will not tell you of times that open here."}),t("p",{class:"actions",children:[t("button",{type:"button",class:"button",onClick:()=>i.anew(),children:"Wait again"}),t("a",{href:`/calendar?${new URLSearchParams({clinic:i.asked.clinic,"visit-type":i.asked.visitType})}`,children:"See all open times"})]})]})}function B({text:i,waiting:e}){return t(p,{children:[t("p",{children:i}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>{e.again()},children:"Try again"})})]})}var q=`mutation Change($input: UpdateWaitlistEntryInput!) {
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
    name
    timeZone
  }
  visitType {
    id
    name
  }
  providers {
    id
    name
  }
  appointment {
    id
    startsAt
    clinic {
      timeZone
    }
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var V=`mutation Join($input: JoinWaitlistInput!) {
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
    name
    timeZone
  }
  visitType {
    id
    name
  }
  providers {
    id
    name
  }
  appointment {
    id
    startsAt
    clinic {
      timeZone
    }
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var z=`mutation Leave($input: LeaveWaitlistInput!) {
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
    name
    timeZone
  }
  visitType {
    id
    name
  }
  providers {
    id
    name
  }
  appointment {
    id
    startsAt
    clinic {
      timeZone
    }
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var j=`query WaitedFor {
  viewer {
    patient {
      waitlistEntries {
        ...Waited
      }
      appointments(when: UPCOMING, status: [BOOKED], first: 50) {
        edges {
          node {
            id
            startsAt
            provider {
              name
            }
            clinic {
              id
              name
              timeZone
            }
            visitType {
              id
              name
            }
          }
        }
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
    name
    timeZone
  }
  visitType {
    id
    name
  }
  providers {
    id
    name
  }
  appointment {
    id
    startsAt
    clinic {
      timeZone
    }
  }
  offer {
    id
    expiresAt
    slot {
      startsAt
    }
  }
}
`;var J=`query PlaceToWaitFor($clinic: ID!, $visitType: ID!) {
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
`;var A=new Set(["ACTIVE","OFFERED","SUSPENDED"]),ke=30,g=class{constructor(e){this.asked=e}asked;step=l("loading");patient=l($());place=l(null);entry=l(null);entries=l([]);own=l([]);fault=l(null);spoken=l("");first=l("");last=l("");hours=l("any");weekdays=l(!1);provider=l("");notice=l(180);autoBook=l(!1);moves=l("");#s=v();#a=()=>this.begin();#o=()=>{};#d=0;#c=0;get listing(){return!this.asked.clinic&&!this.asked.visitType}get movable(){return this.own.value.filter(({visitType:e})=>e.id===this.asked.visitType)}get today(){return I(this.place.value?.clinic.timeZone??"UTC",Date.now())}get furthest(){return T(this.today,this.place.value?.visitType.bookableDaysAhead??0)}get#r(){return[T(this.today,ke),this.furthest].sort()[0]}async begin(){this.step.value="loading",this.#a=()=>this.begin();try{if(this.listing){await this.#e();return}let{clinic:e,visitType:s}=this.asked,n=await b("/graphql",J,{clinic:e,visitType:s});if(!n.clinic?.name||!n.visitType?.name){this.step.value="missing";return}let a=(n.clinic.providers?.edges??[]).map(({node:o})=>o).filter(({visitTypes:o})=>o.some(({id:r})=>r===s));this.place.value={clinic:n.clinic,visitType:n.visitType,providers:a},a.some(({id:o})=>o===this.asked.provider)&&(this.provider.value=this.asked.provider),this.first.value||=this.today,this.last.value||=this.#r,await this.#e()}catch(e){this.#p(e,"unread")}}signIn(e){E(e),this.patient.value=e,this.#e().catch(s=>this.#p(s,"unread"))}signOut(){this.#o(),E(null),this.patient.value=this.entry.value=null,this.entries.value=this.own.value=[],this.moves.value="",this.step.value="sign-in"}choose(e){let s=this.own.value.find(n=>n.id===e)?.startsAt.slice(0,10);this.moves.value=e,this.last.value=s&&s<this.#r?s:this.#r,this.changed()}changed(){this.#s=v()}async join(){let{clinic:e,visitType:s}=this.asked;await this.#i(V,()=>({clinicId:e,visitTypeId:s,from:this.first.value,to:this.last.value,providerIds:this.provider.value?[this.provider.value]:null,windows:U(this.hours.value,this.weekdays.value),minimumNoticeMinutes:this.notice.value,autoBook:this.autoBook.value,appointmentId:this.moves.value||null}))}async resume(){let e=this.entry.value;if(!e)return;let s=e.from<this.today?this.today:e.from;await this.#i(q,()=>({entryId:e.id,version:e.version,from:s}))}async leave(e=this.entry.value){e&&await this.#i(z,()=>({entryId:e.id}))}anew(){this.entry.value=null,this.changed(),this.step.value="form"}async again(){await this.#a()}async#i(e,s){let n=this.patient.value;if(!n||this.step.value==="sending")return;let a=this.listing?"list":this.entry.value?"waiting":"form";this.#a=()=>this.#i(e,s),this.fault.value=null,this.step.value="sending";try{let o=await x(e,{...s(),idempotencyKey:this.#s},n.token);this.#s=v(),await this.#m(o,a)}catch(o){o instanceof w&&o.code==="BAD_USER_INPUT"?(this.#n("",o.message),this.step.value=a):this.#p(o,"unknown")}}async#m(e,s){if(this.listing){await this.#e(),this.#t("entry"in e?`You are no longer waiting for ${e.entry.visitType.name}.`:"It was changed or ended elsewhere.");return}if("entry"in e){this.#u(e.entry),this.#t(e.__typename==="WaitlistLeft"?"You are no longer waiting.":"You are on the waitlist.");return}if(e.__typename==="PolicyViolation"&&e.rule==="ALREADY_WAITING"){await this.#e(),this.#t("You were on the waitlist for this already.");return}this.step.value=s,e.__typename==="InvalidInput"?this.#n(e.field,e.message):e.__typename==="PolicyViolation"?this.#n("","Nobody at the clinic offers this kind of visit at the moment."):(await this.#e(),e.__typename==="NotFound"&&this.step.value==="form"&&this.#n("","This is not offered any more. Please choose another provider, or call."))}async#e(){let e=this.patient.value;if(!this.place.value&&!this.listing)return;if(!e){this.step.value="sign-in";return}let s=await this.#l(e);if(this.listing)this.step.value="list";else if(s)this.#u(s);else{let n=this.movable.find(({id:a})=>a===_())??this.movable[0];this.asked.earlier&&!this.moves.value&&n&&this.choose(n.id),this.step.value="form"}this.#o(),this.#o=L(e.token,()=>{this.#f()})}async#l(e){let s=++this.#d,{viewer:n}=await b("/graphql",j,{},{token:e.token}),a=n.patient?.waitlistEntries??[];s>this.#c&&(this.#c=s,this.entries.value=a.filter(({status:r})=>A.has(r)),this.own.value=(n.patient?.appointments.edges??[]).map(({node:r})=>r));let o=a.filter(({clinic:r,visitType:m})=>r.id===this.asked.clinic&&m.id===this.asked.visitType);return o.find(({id:r})=>r===this.entry.value?.id)??o.find(({status:r})=>A.has(r))??null}async#f(){let e=this.patient.value;if(e&&this.step.value==="list"&&await this.#l(e).catch(()=>null),!e||this.step.value!=="waiting")return;let[s,n]=[this.entry.value,await this.#l(e).catch(()=>null)];!n||this.step.value!=="waiting"||this.entry.value!==s||(this.#u(n),n.offer&&n.offer.id!==s?.offer?.id&&this.#t("A time has opened for you."))}#u(e){this.entry.value=e,A.has(e.status)?this.step.value="waiting":this.step.value=e.status==="FULFILLED"?"booked":"left"}#n(e,s){this.fault.value={field:e.split(".")[0],text:s}}#p(e,s){e instanceof w&&(e.code==="UNAUTHENTICATED"||e.code==="FORBIDDEN")?(this.signOut(),this.#t("Please sign in again.")):this.step.value=s}#t(e){this.spoken.value=this.spoken.value===e?`${e} `:e}};var W=document.getElementById("wait"),k=new URLSearchParams(location.search),K=new g({clinic:k.get("clinic")??"",visitType:k.get("visitType")??"",provider:k.get("provider")??"",earlier:k.has("earlier")});W.replaceChildren();P(t(H,{waiting:K,development:W.dataset.mode==="development"}),W);K.begin();
