import{a as R}from"./chunk.A6RLWG33.js";import{a as E}from"./chunk.7GQDTQKO.js";import{a as r,b as m,d as B,e as g,f as O,h as C,i as k,j as D}from"./chunk.PVCOVTQN.js";import{a as d,b as A,d as x,e as _,g as s,j as y,k as u,m as N,w as t}from"./chunk.TLLUHCT6.js";import"./chunk.S47QW7L4.js";var H=`query BookedHere($id: ID!) {
  appointment(id: $id) {
    ...Booked
  }
}

fragment Booked on Appointment {
  id
  startsAt
  endsAt
  changeableUntil
  provider {
    name
  }
  clinic {
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    name
    modality
  }
}
`;var $=`mutation Book($input: BookAppointmentInput!) {
  result: bookAppointment(input: $input) {
    __typename
    ... on AppointmentBooked {
      appointment {
        ...Booked
      }
    }
    ... on Refusal {
      message
    }
    ... on PolicyViolation {
      rule
    }
    ... on SlotTaken {
      alternatives {
        ...Alternative
      }
    }
    ... on PatientConflict {
      other: appointment {
        ...Booked
      }
    }
  }
}

fragment Booked on Appointment {
  id
  startsAt
  endsAt
  changeableUntil
  provider {
    name
  }
  clinic {
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    name
    modality
  }
}

fragment Alternative on Slot {
  id
  startsAt
  localDate
  provider {
    name
    acceptingNewPatients
  }
  clinic {
    timeZone
  }
}
`;var b=`mutation Hold($input: HoldSlotInput!) {
  result: holdSlot(input: $input) {
    __typename
    ... on SlotHeld {
      hold {
        id
        expiresAt
      }
    }
    ... on Refusal {
      message
    }
    ... on PolicyViolation {
      rule
    }
    ... on SlotTaken {
      alternatives {
        ...Alternative
      }
    }
  }
}

fragment Alternative on Slot {
  id
  startsAt
  localDate
  provider {
    name
    acceptingNewPatients
  }
  clinic {
    timeZone
  }
}
`;var w=`mutation Release($input: ReleaseHoldInput!) {
  result: releaseHold(input: $input) {
    __typename
  }
}
`;var M=`query SlotToBook($id: ID!) {
  node(id: $id) {
    ... on Slot {
      status
      ...Visit
    }
  }
}

fragment Visit on Slot {
  id
  startsAt
  endsAt
  localDate
  provider {
    id
    name
    kind
  }
  clinic {
    id
    name
    phone
    timeZone
    address {
      lines
      city
      region
      postalCode
    }
  }
  visitType {
    id
    name
    modality
  }
}
`;var j={PAST:{title:"This time is over",text:"It has already begun. Please choose a later one."},NOT_OFFERED:{title:"This time is not offered",text:"The clinic's hours may have changed. Please choose another time."},MINIMUM_NOTICE:{title:"This time is too soon",text:"The clinic needs more notice for this kind of visit. Please choose a later time, or call."},BOOKING_WINDOW:{title:"This time is too far ahead",text:"The clinic does not take bookings for that day yet. Please choose an earlier time, or call."},HOLD_LIMIT:{title:"You are holding too many times",text:"You can hold five times at once. Book or leave one of the others, or wait until it ends, then try again."},NOT_ACCEPTING_NEW_PATIENTS:{title:"No new patients at the moment",text:"This provider takes only people who have been there before. Please choose another provider, or call the clinic."}};function p(n){switch(n.__typename){case"SlotTaken":return n.alternatives.length>0?{title:"Somebody was faster",text:"This time has just been taken. These are free and close to it:"}:{title:"Somebody was faster",text:"This time has just been taken, and nothing close to it is free."};case"PatientConflict":return{title:"You have another appointment then",text:"You can't be in two places at once. Please choose another time."};case"PolicyViolation":return j[n.rule]??{title:"This time can't be booked",text:n.message};case"IdempotencyMismatch":return{title:"Something got mixed up",text:"Nothing was booked by this page. Please start again."};case"NotFound":return{title:"There is no such time",text:"The link may be old or incomplete. Please choose a time again."}}}var T="appointments:left",L="appointments:booked:",v=60,c=255,f=class{constructor(e){this.slotId=e;setInterval(()=>this.tick(),500),addEventListener("pagehide",()=>this.#c()),addEventListener("pageshow",({persisted:o})=>o&&void this.begin())}slotId;step=s("loading");slot=s(null);patient=s(B());hold=s(null);seconds=s(0);extendable=s(!0);extending=s(!1);reason=s("");fault=s("");refusal=s(null);alternatives=s([]);appointment=s(null);spoken=s("");#i=0;#a=r();#s=r();#l="hold";async begin(){this.step.value="loading",this.hold.value=null;try{let{node:o}=await u("/graphql",M,{id:this.slotId});if(!o?.startsAt){this.step.value="missing";return}this.slot.value=o,await this.#u(o)}catch{this.step.value="unread";return}let e=this.patient.value;e?await this.#p(e)||await this.take():this.step.value="sign-in"}signIn(e){g(e),this.patient.value=e,this.take()}signOut(){this.#t(),g(null),this.patient.value=null,this.hold.value=null,this.step.value="sign-in"}async take(){[this.#a,this.#s]=[r(),r()],this.extendable.value=!0,await this.#r()}async takeInstead(e){this.#t(),this.alternatives.value=this.alternatives.value.filter(({id:o})=>o!==e),this.slotId=e,history.replaceState(null,"",`/book?slot=${encodeURIComponent(e)}`),await this.begin()}async extend(){let[e,o]=[this.hold.value,this.patient.value];if(!(!e||!o||this.extending.value)){this.extending.value=!0;try{let i={slotId:this.slotId,idempotencyKey:r()},a=await m(b,i,o.token);if(a.__typename!=="SlotHeld")return this.#n(a);this.hold.value=a.hold,this.extendable.value=!1,this.tick();let l=Date.parse(a.hold.expiresAt)>Date.parse(e.expiresAt);this.#e(l?"The time is held for 5 more minutes.":"The time can't be held any longer.")}catch(i){this.#o(i,()=>this.#e("The clinic's calendar did not answer. Please try again."))}finally{this.extending.value=!1}}}async book(){let e=this.patient.value;if(!e)return;this.step.value="booking",this.fault.value="";let o=this.reason.value.trim().replace(/\s+/g," ")||null;try{let i={slotId:this.slotId,reason:o,idempotencyKey:this.#s},a=await m($,i,e.token);if(a.__typename!=="AppointmentBooked")return this.#n(a);this.hold.value=null,this.appointment.value=a.appointment,sessionStorage.setItem(L+this.slotId,a.appointment.id),this.step.value="booked"}catch(i){i instanceof y&&i.code==="BAD_USER_INPUT"?(this.fault.value=i.message,this.step.value="held"):this.#o(i,()=>this.#d("book"))}}async again(){this.step.value==="unread"?await this.begin():this.#l==="book"?await this.book():await this.#r()}tick(){let e=this.hold.value;if(!e)return;let o=this.seconds.value,i=Math.max(0,Math.ceil((Date.parse(e.expiresAt)-Date.now()-this.#i)/1e3));i!==o&&(this.seconds.value=i,this.step.value==="held"&&(i<=v&&o>v&&this.#e(this.extendable.value?"One minute left. You can ask for more time.":"One minute left."),i===0&&this.#e("The time is no longer held for you. It may still be free.")))}async#r(){let[e,o]=[this.patient.value,this.slot.value];if(!(!e||!o)){this.step.value="holding";try{await this.#h(e);let i={slotId:this.slotId,idempotencyKey:this.#a},a=await m(b,i,e.token);if(a.__typename!=="SlotHeld")return this.#n(a);this.seconds.value=0,this.hold.value=a.hold,this.step.value="held",this.tick(),this.#e(`${N(o.startsAt,o.clinic.timeZone)} is held for you for ${Math.round(this.seconds.value/60)} minutes.`)}catch(i){this.#o(i,()=>this.#d("hold"))}}}async#u({clinic:e,visitType:o,provider:i,localDate:a}){let l={clinicId:e.id,visitTypeId:o.id,providerIds:[i.id],from:a,to:a},{availability:h}=await u("/graphql",R,{filter:l});h&&(this.#i=Date.parse(h.serverTime)-Date.now())}async#p(e){let o=sessionStorage.getItem(L+this.slotId);if(!o)return!1;let i=await u("/graphql",H,{id:o},{token:e.token}).catch(()=>null);return i?.appointment?(this.appointment.value=i.appointment,this.step.value="booked",!0):!1}#n(e){this.#t(),this.hold.value=null,this.refusal.value=e,e.__typename==="SlotTaken"&&(this.alternatives.value=e.alternatives),this.step.value="refused",this.#e(p(e).title)}#o(e,o){if(!(e instanceof y))return o();e.code==="UNAUTHENTICATED"||e.code==="FORBIDDEN"?(this.signOut(),this.#e("Please sign in again.")):o()}#d(e){this.#l=e,this.step.value="unknown"}#e(e){this.spoken.value=this.spoken.value===e?`${e} `:e}#t(){let[e,o]=[this.hold.value,this.patient.value];if(!e||!o)return;let i={holdId:e.id,idempotencyKey:r()};sessionStorage.setItem(T,JSON.stringify(i)),this.hold.value=null,u("/graphql",w,{input:i},{token:o.token,keepalive:!0}).catch(()=>{})}#c(){this.step.value!=="booking"&&this.#t()}async#h(e){let o=sessionStorage.getItem(T);o&&(sessionStorage.removeItem(T),await u("/graphql",w,{input:JSON.parse(o)},{token:e.token}).catch(()=>{}))}};function F({booking:n}){let e=n.step.value==="booking";return t("form",{class:"booking",onSubmit:i=>{i.preventDefault(),e||n.book()},children:[t(z,{booking:n}),t(ee,{booking:n,readOnly:e}),t("p",{class:"actions",children:t("button",{type:"submit",class:"button","aria-disabled":e,children:e?"Booking …":"Book this time"})})]})}function z({booking:n}){let e=n.seconds.value;if(e===0)return t("div",{class:"hold","data-state":"over",children:[t("p",{children:[t("b",{children:"The time is no longer held for you."})," It may still be free: hold it again, or book it right away."]}),t("button",{type:"button",onClick:()=>{n.take()},children:"Hold it again"})]});let o=e<=v;return t("div",{class:"hold","data-state":o?"ending":"held",children:[t("p",{children:["Held for you for"," ",t("b",{role:"timer",class:"timer",children:[Math.floor(e/60),":",String(e%60).padStart(2,"0")]}),o?".":". Nobody else can book it meanwhile."]}),o&&n.extendable.value&&t("button",{type:"button","aria-disabled":n.extending.value,onClick:()=>{n.extend()},children:"Hold it 5 minutes more"})]})}function ee({booking:n,readOnly:e}){let o=n.reason.value.length;return t("div",{class:"field",children:[t("label",{for:"reason",children:"Reason for the visit (optional)"}),t("textarea",{id:"reason",rows:3,maxLength:c,readOnly:e,"aria-describedby":"reason-hint reason-fault","aria-invalid":n.fault.value!=="",value:n.reason.value,onInput:({currentTarget:i})=>n.reason.value=i.value}),t("p",{id:"reason-hint",class:"quiet",children:["Only the clinic sees it. ",c-o<60?`${c-o} characters left.`:`At most ${c} characters.`]}),t("p",{id:"reason-fault",class:"fault",role:"alert",children:n.fault.value})]})}function W({booking:n,development:e}){let o=n.step.value;return t(d,{children:[t(oe,{booking:n}),t("div",{class:"columns",children:[o==="booked"?null:t(ae,{booking:n}),t("div",{class:"card step","data-step":o,"aria-busy":o==="loading"||o==="holding"||o==="booking",children:t(ie,{booking:n,development:e})})]}),e&&n.patient.value&&t("p",{class:"quiet",children:["Development: acting as ",n.patient.value.name,"."," ",t("button",{type:"button",class:"link",onClick:()=>n.signOut(),children:"Be somebody else"})]}),t("p",{class:"unseen",role:"status",children:n.spoken.value})]})}var te={missing:"There is no such time",unread:"The time could not be read",booked:"You are booked",unknown:"No answer yet"},ne=new Set(["booked","refused","unknown","missing"]);function oe({booking:n}){let[e,o]=[n.step.value,n.refusal.value],i=e==="refused"&&o?p(o).title:te[e]??"Book this time",a=_(null);return x(()=>{document.title=`${i} · Appointments`,ne.has(e)&&a.current?.focus()},[e,i]),t("h1",{ref:a,tabIndex:-1,children:i})}function ie({booking:n,development:e}){switch(n.step.value){case"loading":return t("p",{children:"Reading the time …"});case"holding":return t("p",{children:"Holding the time for you …"});case"missing":return t(se,{text:"The link may be old or incomplete.",booking:n});case"unread":return t(U,{text:"The clinic's calendar did not answer.",booking:n});case"sign-in":return t(D,{clinic:n.slot.value?.clinic??null,development:e,action:"Sign in and hold this time",signIn:o=>n.signIn(o)});case"held":case"booking":return t(F,{booking:n});case"unknown":return t(U,{text:"The clinic's calendar did not answer, so we don't know the outcome yet. Trying again is safe: nothing is booked twice.",booking:n});case"refused":return t(le,{booking:n});case"booked":return n.appointment.value&&t(d,{children:[t(C,{appointment:n.appointment.value}),n.slot.value&&t("p",{children:["Would you rather come sooner?"," ",t("a",{href:`${K(n.slot.value)}&earlier`,onClick:()=>E(n.appointment.value?.id??""),children:"Tell me when an earlier time opens"})]})]})}}function ae({booking:n}){let e=n.slot.value;return e?t("section",{class:"card","aria-label":"The time",children:t(O,{...e,clinic:e.clinic})}):null}function S({booking:n}){let e=n.slot.value?.clinic;return e?.phone?t("p",{children:["Or call ",e.name,": ",t("a",{href:`tel:${e.phone}`,children:e.phone})]}):null}function q(n){return n?`/calendar?clinic=${n.clinic.id}&visit-type=${n.visitType.id}`:"/calendar"}function K({clinic:n,visitType:e}){return`/wait?${new URLSearchParams({clinic:n.id,visitType:e.id})}`}function se({text:n,booking:e}){return t(d,{children:[t("p",{children:n}),t("p",{class:"actions",children:t("a",{class:"button",href:q(e.slot.value),children:"Choose another time"})}),t(S,{booking:e})]})}function U({text:n,booking:e}){return t(d,{children:[t("p",{children:n}),t("p",{class:"actions",children:t("button",{type:"button",class:"button",onClick:()=>{e.again()},children:"Try again"})}),t(S,{booking:e})]})}function le({booking:n}){let e=n.refusal.value;if(!e)return null;let o=e.__typename==="PatientConflict"?e.other:null,i=n.alternatives.value,a=e.__typename==="PolicyViolation"&&e.rule==="HOLD_LIMIT";return t(d,{children:[t("p",{children:p(e).text}),o&&t("p",{children:["You have: ",o.visitType.name," with ",o.provider.name,", ",k(o.startsAt,o.endsAt,o.clinic.timeZone),"."]}),i.length>0&&e.__typename!=="SlotTaken"&&t("p",{children:"Still free:"}),i.length>0&&t("ul",{class:"alternatives",role:"list",children:i.map(({id:l,startsAt:h,provider:P,clinic:Y})=>t("li",{children:t("button",{type:"button","data-slot-id":l,onClick:()=>{n.takeInstead(l)},children:[t("b",{children:k(h,null,Y.timeZone)})," ",t("span",{children:[P.name,P.acceptingNewPatients?"":", known patients only"]})]})},l))}),t("p",{class:"actions",children:[a&&t("button",{type:"button",class:"button",onClick:()=>{n.take()},children:"Try again"}),t("a",{class:i.length>0||a?void 0:"button",href:q(n.slot.value),children:"See all open times"}),n.slot.value&&t("a",{href:K(n.slot.value),children:"Tell me when a time opens"})]}),t(S,{booking:n})]})}var I=document.getElementById("booking"),Z=new f(new URLSearchParams(location.search).get("slot")??"");I.replaceChildren();A(t(W,{booking:Z,development:I.dataset.mode==="development"}),I);Z.begin();
